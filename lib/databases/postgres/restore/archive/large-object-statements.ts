import type { LargeObjectsBlock } from '../../archive/types';

/** As much of a large object as pg_restore writes at a time. */
const LARGE_OBJECT_PIECE = 16_384;

/** The statements that write the contents of large objects, as pg_restore does. */
export async function* largeObjectStatements(
	block: LargeObjectsBlock,
): AsyncGenerator<Buffer, void, undefined> {
	for await (const { oid, content } of block.objects()) {
		yield Buffer.from(`SELECT pg_catalog.lo_open('${oid}', 131072);\n`);
		for await (const chunk of content()) {
			for (let from = 0; from < chunk.length; from += LARGE_OBJECT_PIECE) {
				const piece = chunk.toString('hex', from, from + LARGE_OBJECT_PIECE);
				yield Buffer.from(`SELECT pg_catalog.lowrite(0, '\\x${piece}');\n`);
			}
		}
		yield Buffer.from('SELECT pg_catalog.lo_close(0);\n');
	}
}
