import { damaged } from './format';
import { largeObjectIds } from './large-objects';
import type { ArchiveToc } from './types';

/**
 * Compares the large objects that have contents with those that the TOC creates: an OID that went wrong would put the contents of
 * one object into another, or lose them. Archives that hold only contents (`pg_dump --section=data`) list none to compare with.
 */
export class LargeObjectLedger {
	private readonly listed: Uint32Array;

	private readonly seen: Uint8Array;

	private seenCount = 0;

	private hasContents = false;

	constructor({ entries }: Pick<ArchiveToc, 'entries'>) {
		const oids = entries.flatMap((entry) => {
			if (entry.desc === 'BLOB') return [entry.catalogId.oid];
			return entry.desc === 'BLOB METADATA' ? largeObjectIds(entry) : [];
		});
		this.listed = Uint32Array.from(oids).sort();
		this.seen = new Uint8Array(this.listed.length);
	}

	/** Takes note of a block with contents, be it empty. */
	seeBlock(): void {
		this.hasContents = true;
	}

	/** Takes note of an object's contents. */
	see(oid: number, offset: number): void {
		if (this.listed.length === 0) return;
		const index = this.find(oid);
		if (index === undefined)
			throw damaged(`large object ${oid}, which its table of contents does not list`, offset);
		if (this.seen[index]) throw damaged(`large object ${oid} is there twice`, offset);
		this.seen[index] = 1;
		this.seenCount += 1;
	}

	/** Called at the end of the archive. */
	requireAll(offset: number): void {
		if (!this.hasContents || this.seenCount === this.listed.length) return;
		throw damaged(`the contents of large object ${this.listed[this.seen.indexOf(0)]} are missing`, offset);
	}

	private find(oid: number): number | undefined {
		let [low, high] = [0, this.listed.length];
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (this.listed[middle]! < oid) low = middle + 1;
			else high = middle;
		}
		return this.listed[low] === oid ? low : undefined;
	}
}
