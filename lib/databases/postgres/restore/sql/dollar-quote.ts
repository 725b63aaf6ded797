import { DOLLAR, wordBytes } from './bytes';

/** A string between two tags, such as `$body$ ... $body$`. */
export class DollarQuote {
	/** With both its dollars, once it is whole. */
	private tag: number[] = [];

	/** So many bytes of the tag that ends the string were seen. */
	private matched = 0;

	/** A dollar was seen, with which a tag may begin. */
	begin(): void {
		this.tag = [DOLLAR];
	}

	/**
	 * A byte of the tag.
	 *
	 * @returns `open` behind its end; `none` if it is no tag: the byte is then to be looked at again.
	 */
	tagByte(byte: number): 'more' | 'open' | 'none' {
		if (byte === DOLLAR) {
			this.tag.push(byte);
			this.matched = 0;
			return 'open';
		}
		const kind = wordBytes[byte]!;
		if (kind !== 1 && (kind !== 2 || this.tag.length === 1)) return 'none';
		this.tag.push(byte);
		return 'more';
	}

	/** What followed the dollar of something that is no tag. */
	get word(): readonly number[] {
		return this.tag.slice(1);
	}

	/** Passes the string. @returns the index behind its end; -1 where that is not in the chunk. */
	endIn(chunk: Buffer, from: number): number {
		const { tag } = this;
		for (let i = from; i < chunk.length; i++) {
			if (this.matched === 0) {
				i = chunk.indexOf(DOLLAR, i);
				if (i === -1) return -1;
				this.matched = 1;
				continue;
			}
			const byte = chunk[i];
			if (byte === tag[this.matched]) {
				this.matched += 1;
				if (this.matched === tag.length) return i + 1;
			} else this.matched = byte === DOLLAR ? 1 : 0;
		}
		return -1;
	}
}
