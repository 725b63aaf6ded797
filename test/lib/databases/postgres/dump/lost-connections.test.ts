import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';

import fc from 'fast-check';

import { LifeboatError } from '../../../../../lib/errors';
import { postgresEngine, type PostgresDumpOptions } from '../../../../../lib/databases/postgres';
import { decode } from '../archive/fixture';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';
import { startTcpProxy } from '../../../../servers/tcp-proxy';
import { normalizeDump, psql } from '../helpers';

let server: PostgresServer;

before(async () => {
	server = await startPostgres({ version: 16 });
	await psql(server, 'postgres', {
		sql: `CREATE TABLE a AS SELECT i, repeat(md5(i::text), 20) AS t FROM generate_series(1, 1500) i;
		CREATE TABLE b (x integer); INSERT INTO b VALUES (1); CREATE TABLE c ();
		CREATE TABLE d AS SELECT * FROM a; CREATE SEQUENCE s; SELECT lo_from_bytea(4711, decode(repeat('00ff', 50000), 'hex'))`,
	});
});
after(async () => server.stop());

/** A hash of what a dump holds, whatever differs from dump to dump. */
async function content(bytes: Buffer, isArchive: boolean): Promise<string> {
	const hash = createHash('sha256');
	if (!isArchive) return hash.update(normalizeDump(bytes.toString('latin1'))).digest('hex');
	const { toc, tables, largeObjects } = await decode(
		(async function* () {
			yield bytes;
		})(),
	);
	const held = [toc.entries, [...tables].map(([name, { text }]) => [name, text]), [...largeObjects]];
	return hash.update(JSON.stringify(held)).digest('hex');
}

async function dump(port: number, options: PostgresDumpOptions): Promise<string> {
	const prepared = await postgresEngine.prepareDump({ ...server.connection(), port }, options);
	const production = await prepared.start();
	const pieces: Buffer[] = [];
	try {
		for await (const piece of production.stream) pieces.push(piece as Buffer);
	} catch (error) {
		await assert.rejects(production.finish(), { code: 'INCOMPLETE' });
		throw error;
	}
	const { tables } = await production.finish();
	assert.equal(tables?.length, 4);
	return content(Buffer.concat(pieces), options.format === 'custom');
}

for (const options of [
	{ format: 'plain' },
	{ format: 'custom', archiveCompression: 'none' },
	{ format: 'custom', parallelConnections: 3 },
] satisfies PostgresDumpOptions[]) {
	test(`a dump fails or is whole, wherever its connections are cut: ${JSON.stringify(options)}`, async () => {
		const whole = await startTcpProxy(server.port);
		const expected = await dump(whole.port, options);
		const length = whole.received();
		await whole.stop();
		await fc.assert(
			fc.asyncProperty(fc.integer({ min: 0, max: length - 1 }), async (cutAfter) => {
				const proxy = await startTcpProxy(server.port, { cutAfter });
				try {
					// What is left to come may be the farewell alone.
					assert.equal(await dump(proxy.port, options), expected);
					assert.ok(cutAfter > 0.99 * length, `whole, though cut after ${cutAfter} of ${length} bytes`);
				} catch (error) {
					assert.ok(error instanceof LifeboatError, String(error));
					assert.ok(
						['CONNECTION_LOST', 'CONNECTION_FAILED'].includes(error.code),
						`${error.code}: ${error.message}`,
					);
				} finally {
					await proxy.stop();
				}
			}),
			{ numRuns: 4 },
		);
	});
}
