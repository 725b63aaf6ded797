import type { Client } from 'pg';

import { postgresError } from '../errors';

/** Bytes that are read at once; pg_dump's own pieces fit in. */
const pieceSize = 512 * 1024;
/** Bytes that pg_dump writes in one statement of a script. */
const statementSize = 16 * 1024;

/** The contents of a large object, as the client's transaction sees them. @throws LifeboatError as `postgresError`. */
export async function* readLargeObject(client: Client, oid: number): AsyncGenerator<Buffer> {
	for (let at = 0; ; at += pieceSize) {
		const { rows } = await client
			.query<{
				piece: string;
			}>(`SELECT pg_catalog.encode(pg_catalog.lo_get(${oid}, ${at}, ${pieceSize}), 'base64') AS piece`)
			.catch((error: unknown) => {
				throw postgresError(error, `reading large object ${oid}`);
			});
		const piece = Buffer.from(rows[0]!.piece, 'base64');
		if (piece.length > 0) yield piece;
		if (piece.length < pieceSize) return;
	}
}

/** The statements that write contents into the large object that a script has opened, as pg_dump writes them. */
export async function* writingStatements(
	contents: AsyncIterable<Buffer>,
	hasStandardStrings: boolean,
): AsyncGenerator<Buffer> {
	const [start, end] = [`SELECT pg_catalog.lowrite(0, '${hasStandardStrings ? '' : '\\'}\\x`, "');\n"];
	for await (const piece of contents) {
		let text = '';
		for (let at = 0; at < piece.length; at += statementSize) {
			text += start + piece.toString('hex', at, Math.min(at + statementSize, piece.length)) + end;
		}
		yield Buffer.from(text, 'latin1');
	}
}
