import { readFile } from 'node:fs/promises';

import { Client, type ClientConfig } from 'pg';

/**
 * Runs an SQL script the way psql would: `\c name` changes the database, and CREATE or DROP DATABASE stand alone.
 *
 * @param connection where to begin.
 * @returns the database that the script was in at its end.
 * @throws for what only psql can run: other backslash commands, and rows that follow COPY ... FROM stdin.
 */
export async function loadSql(
	connection: ClientConfig & { database: string },
	path: string,
): Promise<string> {
	const script = (await readFile(path, 'utf8')).replace(/^\uFEFF/, '');
	let { database } = connection;
	let client = await connect(connection, database);
	let chunk = '';
	const flush = async () => {
		if (chunk.trim() !== '') await client.query(chunk);
		chunk = '';
	};
	try {
		for (const line of script.split(/(?<=\n)/)) {
			const other = /^\\(?:c|connect)\s+"?([^\s";]+)"?\s*;?\s*$/.exec(line)?.[1];
			if (other !== undefined) {
				await flush();
				await client.end();
				database = other;
				client = await connect(connection, database);
			} else if (/^\\[a-z.!?]/i.test(line) || /^COPY\s.*FROM\s+stdin/i.test(line)) {
				throw new Error(`${path} needs psql: this program can't run the line ${line.trim()}`);
			} else if (/^\s*(CREATE|DROP)\s+DATABASE\b.*;\s*$/i.test(line)) {
				await flush();
				await client.query(line);
			} else {
				chunk += line;
			}
		}
		await flush();
	} finally {
		await client.end();
	}
	return database;
}

async function connect(connection: ClientConfig, database: string): Promise<Client> {
	const client = new Client({ ...connection, database });
	await client.connect();
	return client;
}
