import { LifeboatError } from '../../../../errors';
import type { ArchiveReader, ArchiveToc, DataBlock, TocEntry } from '../../archive/types';

/** The data blocks, which can only be read in the order they have in the file. */
export class OrderedBlocks {
	private readonly blocks: AsyncGenerator<DataBlock, void, undefined>;

	private readonly order: readonly number[];

	private next = 0;

	constructor(reader: ArchiveReader, toc: ArchiveToc) {
		this.blocks = reader.blocks();
		this.order = toc.entries.filter(({ hasData }) => hasData).map(({ dumpId }) => dumpId);
	}

	async of(entry: TocEntry): Promise<DataBlock> {
		for (;;) {
			const { value: block } = await this.blocks.next();
			if (block) {
				this.next += 1;
				if (block.entry.dumpId === entry.dumpId) return block;
				await block.skip();
				continue;
			}
			throw new LifeboatError(
				'INVALID_OPTION',
				`The rows of ${entry.tag} lie further to the front of the archive than they are asked for (${this.next} of ${this.order.length} blocks were read)`,
				{ hint: 'Leave the order of data entries in the list as it is in the archive' },
			);
		}
	}

	async finish(): Promise<void> {
		for (;;) {
			const { value: block } = await this.blocks.next();
			if (!block) return;
			await block.skip();
		}
	}
}
