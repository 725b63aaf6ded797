import { createHash, type Hash } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';

import { LifeboatError } from '../errors';

import { passesOn } from './neighbours';

/** Size in bytes and SHA-256 in lower-case hexadecimal. */
export interface Digest {
	size: number;
	sha256: string;
}

/** What a stream is expected to be, and how to call it in the error if it isn't. */
export interface ExpectedDigest extends Digest {
	/** Such as `backup shop-2026.sql.zst in /srv/backups`. */
	what: string;
}

/**
 * Passes bytes through, unchanged, while it counts and hashes them.
 *
 * With `expected`, a stream that ends with another size or hash ends in an error (`CHECKSUM_MISMATCH`) instead of an
 * end: whatever reads it never sees it complete. It fails as soon as there are too many bytes.
 */
export class DigestStream extends Transform {
	private readonly hash: Hash = createHash('sha256');

	private size = 0;

	private result: Digest | undefined;

	constructor(private readonly expected?: ExpectedDigest) {
		super();
		passesOn(this);
	}

	/** Bytes seen so far. */
	get bytes(): number {
		return this.size;
	}

	/** The digest of the whole stream. @throws LifeboatError `INCOMPLETE` before the end was reached. */
	digest(): Digest {
		if (!this.result) {
			throw new LifeboatError(
				'INCOMPLETE',
				'The data was not read to its end, so its checksum is not known',
				{
					hint: 'Run the node again; if it happens again, report it as a bug',
				},
			);
		}
		return this.result;
	}

	override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
		this.size += chunk.length;
		if (this.expected && this.size > this.expected.size) {
			// At once: a small file that decompresses without end must not be read to its end.
			callback(mismatch(this.expected, `more than ${this.expected.size} bytes`));
			return;
		}
		this.hash.update(chunk);
		callback(null, chunk);
	}

	override _flush(callback: TransformCallback): void {
		const found = { size: this.size, sha256: this.hash.digest('hex') };
		const { expected } = this;
		if (expected && !sameDigest(expected, found)) {
			callback(mismatch(expected, describeDigest(found)));
			return;
		}
		this.result = found;
		callback();
	}
}

/** Whether both stand for the same bytes. */
export function sameDigest(a: Digest, b: Digest): boolean {
	return a.size === b.size && a.sha256 === b.sha256;
}

function mismatch(expected: ExpectedDigest, found: string): LifeboatError {
	return new LifeboatError(
		'CHECKSUM_MISMATCH',
		`The ${expected.what} is damaged: expected ${describeDigest(expected)}, found ${found}`,
		{ hint: 'Do not use this copy. Take the same backup from another destination, or an older one' },
	);
}

function describeDigest(digest: Digest): string {
	return `${digest.size} bytes with SHA-256 ${digest.sha256.slice(0, 16)}…`;
}
