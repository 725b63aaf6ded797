import type { Readable } from 'node:stream';

import type { EngineContext } from '../../../engine';
import { separateLargeObjects } from '../../archive/large-objects';
import { readArchive } from '../../archive/reader';

import { detectFormat } from '../content-format';
import { objectsOfArchive, objectsOfScript, type ScriptObjects } from './objects';
import { SqlLexer } from '../sql/lexer';

/** What is in the backup, read before the restore begins. */
export async function contentsOf(
	open: (signal?: AbortSignal) => Promise<Readable>,
	{ signal }: EngineContext,
): Promise<ScriptObjects> {
	const source = await open(signal);
	source.on('error', () => undefined);
	const stop = () => source.destroy();
	signal?.addEventListener('abort', stop, { once: true });
	try {
		const { format, bytes } = await detectFormat(source);
		if (format === 'plain-sql') return await objectsOfScript(new SqlLexer(bytes));
		const archive = await readArchive(bytes);
		await archive.close();
		return await objectsOfArchive(separateLargeObjects(archive.toc));
	} finally {
		signal?.removeEventListener('abort', stop);
		source.destroy();
	}
}
