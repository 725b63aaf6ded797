import type { Readable } from 'node:stream';

import type { Client, Connection } from 'pg';
import { to as copyTo } from 'pg-copy-streams';

import type { Wire } from '../connection';

import { queryMessage } from './protocol';

/** The rows of a COPY ... TO stdout, in its text format, and their number once the stream ended. */
export interface CopyOut {
	readonly stream: Readable;
	/** Known when the server has said that the command is complete. */
	rows(): number | undefined;
}

/**
 * Starts a COPY ... TO stdout.
 *
 * @param sql its bytes as Latin-1 characters, so that names in any encoding reach the server unchanged.
 */
export function copyOut(client: Client, sql: string): CopyOut {
	const stream = copyTo(sql, { highWaterMark: 256 * 1024 });
	const submit = stream.submit.bind(stream);
	let rows: number | undefined;
	const query = Object.assign(stream, {
		submit(connection: Connection) {
			const { stream: socket } = connection as unknown as Wire;
			// `pg` would encode the text as UTF-8.
			submit({ stream: socket, query: () => socket.write(queryMessage(sql)) } as unknown as Connection);
		},
		handleCommandComplete({ text }: { text: string }) {
			rows = Number(/^COPY (\d+)$/.exec(text)?.[1]);
		},
	});
	client.query(query);
	return { stream: query, rows: () => rows };
}
