import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';

import type { ContentPlace } from './dump-session';

/** How much text lies in memory as it is. What goes beyond is compressed, to a tenth as a rule. */
const blockSize = 1024 * 1024;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** What pg_dump wrote of a plain dump, with the places where contents belong. Statements alone: it is as long as the schema is. */
export class Script {
	private readonly compressed: Buffer[] = [];

	private open: Buffer[] = [];

	private openLength = 0;

	private length = 0;

	private readonly places: { at: number; place: ContentPlace }[] = [];

	async write(bytes: Buffer): Promise<void> {
		this.open.push(bytes);
		this.openLength += bytes.length;
		this.length += bytes.length;
		if (this.openLength < blockSize) return;
		const params = { [constants.ZSTD_c_compressionLevel]: 1 };
		this.compressed.push(await compress(Buffer.concat(this.open), { params }));
		this.open = [];
		this.openLength = 0;
	}

	/** Contents belong behind what was written last. */
	place(place: ContentPlace): void {
		this.places.push({ at: this.length, place });
	}

	/** All of it, in order. */
	async *parts(): AsyncGenerator<Buffer | ContentPlace> {
		let start = 0;
		let next = 0;
		for (let i = 0; i <= this.compressed.length; i++) {
			const block = this.compressed[i];
			const text = block ? await decompress(block) : Buffer.concat(this.open);
			let from = 0;
			for (; next < this.places.length && this.places[next]!.at <= start + text.length; next++) {
				const { at, place } = this.places[next]!;
				if (at - start > from) yield text.subarray(from, at - start);
				from = at - start;
				yield place;
			}
			if (from < text.length) yield text.subarray(from);
			start += text.length;
		}
	}
}
