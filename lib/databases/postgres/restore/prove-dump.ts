import type { Readable } from 'node:stream';

import { LifeboatError } from '../../../errors';
import { verifyArchive } from '../archive/verify';

import { detectFormat, type ContentFormat } from './content-format';
import { objectsOfScript } from './parts/objects';
import { SqlLexer } from './sql/lexer';
import { assertWhole } from './transaction';

/**
 * Reads a dump without manifest to its end: an archive is decoded, a script split into its statements.
 *
 * @param what how to call it in messages.
 * @throws LifeboatError `INCOMPLETE`, `ARCHIVE_DAMAGED`, `UNSUPPORTED_FORMAT`, `SEVERAL_DATABASES` for the output of pg_dumpall.
 */
export async function proveDump(
	source: Readable,
	what: string,
): Promise<{ format: ContentFormat; isGlobals: boolean }> {
	source.on('error', () => undefined);
	try {
		const { format, bytes } = await detectFormat(source);
		if (format === 'pg-custom') {
			await verifyArchive(bytes);
			return { format, isGlobals: false };
		}
		const lexer = new SqlLexer(bytes);
		const { connects } = await objectsOfScript(lexer);
		const isGlobals = lexer.comments.isCluster === true && connects === 0;
		if (connects > 1 || (lexer.comments.isCluster && !isGlobals)) {
			throw new LifeboatError(
				'SEVERAL_DATABASES',
				`${what} is the output of pg_dumpall: it holds the roles and the databases of a whole server`,
				{
					hint: 'Load it with psql into a server of its own. To restore a single database, take its dump with pg_dump or Dump Database',
				},
			);
		}
		assertWhole(lexer);
		return { format, isGlobals };
	} finally {
		source.destroy();
	}
}
