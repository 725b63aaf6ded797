import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import fc from 'fast-check';

import {
	restorePostgres,
	type PostgresRestoreOptions,
} from '../../../../lib/databases/postgres/restore/restore';
import { startPostgres, type PostgresServer } from '../../../servers/postgres';

import { assertSameText, dumpToFile, nativeDumpText, normalizeDump, withClient, withFolder } from './helpers';
import { randomSchema, statementsOf, type RandomSchema } from './random-schema';

const run = promisify(execFile);

/** More of them, from another seed, by hand: `LIFEBOAT_RANDOM_SCHEMAS=200 LIFEBOAT_SEED=7`. */
const numRuns = Number(process.env.LIFEBOAT_RANDOM_SCHEMAS ?? 3);
const seed = Number(process.env.LIFEBOAT_SEED ?? 20_261_121);

const roles = ['"a ""role"""', '"select"'];

let server: PostgresServer;
before(async () => {
	server = await startPostgres({
		version: 15,
		settings: { wal_level: 'logical', max_locks_per_transaction: '256' },
	});
	for (const role of roles) await query('postgres', `CREATE ROLE ${role}`);
});
after(() => server.stop());

const query = async (database: string, sql: string) =>
	withClient(server.connection(database), async (client) => client.query(sql));

let count = 0;

/** Runs `use` with an empty database of that encoding. */
async function withEmpty<Result>(
	encoding: string,
	use: (database: string) => Promise<Result>,
): Promise<Result> {
	const database = `random_${++count}`;
	await query(
		'postgres',
		`CREATE DATABASE ${database} TEMPLATE template0 ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C'`,
	);
	try {
		return await use(database);
	} finally {
		await query('postgres', `DROP DATABASE ${database} WITH (FORCE)`);
	}
}

/** Each group of statements is one transaction: what can't be made in this order is left out. */
async function make(database: string, schema: RandomSchema): Promise<{ made: number; failures: string[] }> {
	return withClient(server.connection(database), async (client) => {
		let made = 0;
		const failures: string[] = [];
		for (const group of statementsOf(schema, roles)) {
			for (const statement of group) {
				try {
					await client.query(statement);
					made += 1;
				} catch (error) {
					failures.push(`${(error as Error).message}: ${statement}`);
				}
			}
		}
		return { made, failures };
	});
}

/** As text, and as bytes that stand for characters of one byte. */
const textOf = async (database: string) => normalizeDump(await nativeDumpText(server, database));

const program = async (database: string, name: string, ...args: string[]) =>
	run(name, args, { env: server.env(database) });
const restore = async (database: string, file: string, options: PostgresRestoreOptions = {}) =>
	restorePostgres(server.connection(database), async () => createReadStream(file), options);

const custom = { format: 'custom' } as const;

/** Each way leads to a database that is as the one that was dumped. */
const ways: Record<string, (source: string, target: string, file: string) => Promise<unknown>> = {
	async 'by Lifeboat as SQL, back by psql'(source, target, file) {
		await dumpToFile(server.connection(source), file);
		await program(target, 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', file);
	},
	async 'by Lifeboat as an archive, back by pg_restore'(source, target, file) {
		await dumpToFile(server.connection(source), file, { ...custom, parallelConnections: 2 });
		await program(target, 'pg_restore', '--exit-on-error', '-d', target, file);
	},
	async 'by pg_dump as SQL, back by Lifeboat'(source, target, file) {
		await program(source, 'pg_dump', '-f', file);
		await restore(target, file);
	},
	async 'by pg_dump as an archive, back by Lifeboat over several connections'(source, target, file) {
		await program(source, 'pg_dump', '-Fc', '-f', file);
		await restore(target, file, { target: { kind: 'swap', old: 'drop' }, parallelConnections: 3 });
	},
	async 'by Lifeboat as an archive, and twice back, the second time over the first'(source, target, file) {
		const expectedTables = await dumpToFile(server.connection(source), file, custom);
		await restore(target, file, { expectedTables });
		await restore(target, file, { expectedTables, ifNotEmpty: 'clean' });
	},
	async 'by Lifeboat as SQL, back in two parts: definitions, then rows'(source, target, file) {
		await dumpToFile(server.connection(source), file);
		await restore(target, file, { content: 'schema' });
		await restore(target, file, { content: 'data' });
	},
	async 'by pg_dump as an archive, back in two parts: definitions, then rows'(source, target, file) {
		await program(source, 'pg_dump', '-Fc', '-f', file);
		await restore(target, file, { content: 'schema' });
		await restore(target, file, { content: 'data' });
	},
};

test('random schemas go out and come back as they were, whoever writes and reads them', async (t) => {
	let total = { made: 0, failed: 0 };
	const names = Object.keys(ways);
	let turn = 0;
	await fc.assert(
		fc.asyncProperty(randomSchema(24), async (schema) =>
			withEmpty(schema.encoding, async (source) => {
				const { made, failures } = await make(source, schema);
				total = { made: total.made + made, failed: total.failed + failures.length };
				if (process.env.LIFEBOAT_FAILURES) for (const failure of failures) t.diagnostic(failure);
				const sourceText = await textOf(source);
				// Here and there pg_dump itself doesn't bring back what it read: the order of inherited columns, say.
				const expected = await withEmpty(schema.encoding, async (target) =>
					withFolder(async (folder) => {
						const file = join(folder, 'dump.sql');
						await program(source, 'pg_dump', '-f', file);
						await program(target, 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', file);
						return textOf(target);
					}),
				);
				// In a short run each schema goes some of the ways.
				const chosen = numRuns > 3 ? names : names.filter((_, at) => at % 3 === turn % 3);
				turn += 1;
				for (const name of chosen) {
					await withEmpty(schema.encoding, async (target) =>
						withFolder(async (folder) => {
							await ways[name]!(source, target, join(folder, 'dump')).catch((error: unknown) => {
								throw new Error(`${name}: ${String(error)}`, { cause: error });
							});
							const actual = await textOf(target);
							if (actual !== sourceText && actual !== expected) {
								t.diagnostic(name);
								assertSameText(expected, actual);
							}
						}),
					);
				}
			}),
		),
		{ numRuns, seed, endOnFailure: true },
	);
	t.diagnostic(`${total.made} statements were run, ${total.failed} did not fit`);
	assert.ok(total.made > 3 * total.failed, 'most statements make something');
});
