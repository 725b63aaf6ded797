import { SLASH, STAR } from './bytes';

/** A comment such as this one, in which others may be nested. */
export class BlockComment {
	private depth = 0;

	/** The previous byte, where it may be half of a start or end. */
	private previous = 0;

	/** Behind the first start. */
	begin(): void {
		this.depth = 1;
		this.previous = 0;
	}

	/** @returns whether the comment ends with this byte. */
	endsWith(byte: number): boolean {
		if (this.previous === STAR && byte === SLASH) {
			this.depth -= 1;
			this.previous = 0;
			return this.depth === 0;
		}
		if (this.previous === SLASH && byte === STAR) {
			this.depth += 1;
			this.previous = 0;
		} else this.previous = byte;
		return false;
	}
}
