import { Transform, type TransformCallback } from 'node:stream';

import { LifeboatError } from '../errors';

import { passesOn } from './neighbours';

/**
 * Passes bytes through and fails, instead of ending, unless there were exactly as many as announced (`INCOMPLETE`). So a
 * file that shrinks while it is read, or a connection that closes early, never looks like a whole one.
 */
export class ExactLength extends Transform {
	private seen = 0;

	/** @param what how to call it in the error, such as `shop.sql.zst in bucket backups`. */
	constructor(
		private readonly expected: number,
		private readonly what: string,
	) {
		super();
		passesOn(this);
	}

	override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
		this.seen += chunk.length;
		callback(this.seen > this.expected ? this.error() : null, chunk);
	}

	override _flush(callback: TransformCallback): void {
		callback(this.seen === this.expected ? null : this.error());
	}

	private error(): LifeboatError {
		const found = this.seen > this.expected ? 'more' : String(this.seen);
		return new LifeboatError(
			'INCOMPLETE',
			`${this.what} should have ${this.expected} bytes, but ${found} came`,
			{ hint: 'The connection was cut, or something changed it meanwhile. Run the node again' },
		);
	}
}
