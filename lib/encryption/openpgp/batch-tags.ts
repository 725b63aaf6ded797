import { createCipheriv, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto';

import { TAG_SIZE } from '../chunks';
import { damaged } from '../failures';

import { PrivateSpool } from './spool';

/** Tags that are handed to the spool at once. */
const TAGS_TOGETHER = 256;

/**
 * Recognises bytes when they come a second time: it notes an authentication tag (GMAC, NIST SP 800-38D) of each batch with a key that only this
 * object has, 16 bytes for each batch, and then lets pass only what has the same tags, to the last one.
 */
export class BatchTags {
	private readonly key = createSecretKey(randomBytes(32));

	private readonly spool = new PrivateSpool();

	/** Passes batches on, and notes them. Each must be as long as the batch in its place will be the second time. */
	async *noted(batches: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
		const tags: Buffer[] = [];
		let count = 0;
		for await (const batch of batches) {
			tags.push(this.tagOf(batch, count++));
			if (tags.length === TAGS_TOGETHER) await this.spool.write(Buffer.concat(tags.splice(0)));
			yield batch;
		}
		await this.spool.write(Buffer.concat(tags));
	}

	/** Passes batches on that were noted, in the same order. @throws LifeboatError `DAMAGED` at the first other one, and if some are missing. */
	async *compared(batches: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
		const expected = this.tags();
		let count = 0;
		for await (const batch of batches) {
			const { value } = await expected.next();
			if (!value || !timingSafeEqual(value, this.tagOf(batch, count++))) throw changed();
			yield batch;
		}
		if (!(await expected.next()).done) throw changed();
	}

	/** May be called at any time, and more than once. */
	async close(): Promise<void> {
		await this.spool.close();
	}

	private tagOf(batch: Buffer, number: number): Buffer {
		const nonce = Buffer.alloc(12);
		nonce.writeUIntBE(number, 6, 6);
		const mac = createCipheriv('aes-256-gcm', this.key, nonce, { authTagLength: TAG_SIZE }).setAAD(batch);
		mac.final();
		return mac.getAuthTag();
	}

	private async *tags(): AsyncGenerator<Buffer, void, undefined> {
		for await (const piece of this.spool.read()) {
			for (let at = 0; at < piece.length; at += TAG_SIZE) yield piece.subarray(at, at + TAG_SIZE);
		}
	}
}

function changed(): Error {
	return damaged('was changed while it was read');
}
