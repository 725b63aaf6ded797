import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../../../../../lib/errors';
import type { PostgresRestoreOptions } from '../../../../../lib/databases/postgres/restore/restore';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';

import { contentOf, createDatabase, dumpOfShop, psql, restore } from './server-tools';

let server: PostgresServer;
let dump: Buffer;
let untouched: string;

before(async () => {
	server = await startPostgres({ version: 15 });
	dump = await dumpOfShop(server);
	await createDatabase(server, 'live');
	await psql(server, 'live', "CREATE TABLE present AS SELECT 'kept' AS what", 'CHECKPOINT');
	untouched = await contentOf(server, 'live');
});
after(() => server.stop());

const expectedTables = [{ schema: 'public', name: 'orders', rows: 100 }];

/** Ends the server as a power cut does, and starts it again. */
const crash = () => server.crash();

/** Kills the process that serves the restore, which makes the server end all sessions and recover. */
function killBackend(): Promise<void> {
	const query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'lifeboat restore' LIMIT 1";
	const { stdout } = spawnSync('psql', ['-X', '-A', '-t', '-c', query], {
		env: server.env(),
		encoding: 'utf8',
	});
	const pid = Number(stdout);
	assert.ok(pid > 1, 'no session restores');
	process.kill(pid, 'SIGKILL');
	return Promise.resolve();
}

/** Restores, and has something happen to the server once progress tells of a stage. */
async function failing(
	stage: string,
	happens: () => Promise<void>,
	options: PostgresRestoreOptions,
): Promise<LifeboatError> {
	let happening: Promise<void> | undefined;
	try {
		await restore(
			server,
			'live',
			dump,
			{ ...options, expectedTables },
			{
				onProgress: ({ step }) => {
					if (step.startsWith(stage)) happening ??= happens();
				},
			},
		);
	} catch (error) {
		assert.ok(error instanceof LifeboatError, String(error));
		return error;
	} finally {
		assert.ok(happening, `it never came to the stage ${stage}`);
		await happening;
	}
	return assert.fail('it worked');
}

/** A server recovers after a crash, and takes nobody meanwhile. */
async function untilRecovered(): Promise<void> {
	for (const deadline = Date.now() + 60_000; ; await sleep(20)) {
		const { status, stderr } = spawnSync('psql', ['-X', '-q', '-c', 'SELECT 1'], {
			env: server.env(),
			encoding: 'utf8',
		});
		if (status === 0) return;
		assert.ok(Date.now() < deadline, stderr);
	}
}

const databases = () =>
	psql(
		server,
		'postgres',
		"SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate",
	);

const lost = /^CONNECTION_(?:LOST|FAILED)$/;
const swap = { target: { kind: 'swap' }, parallelConnections: 2 } as const;
const clean = { ifNotEmpty: 'clean' } as const;

describe('a server that crashes during a restore, and starts again', () => {
	// Sessions that are there are lost; one that is just opened fails.
	for (const [name, happens, stage, options, code] of [
		['ended at once', crash, 'building indexes', swap, lost],
		['ended at once', crash, 'putting the restored', swap, lost],
		['ended at once', crash, 'rows of public.', clean, lost],
		['a backend is killed', killBackend, 'rows of public.', swap, lost],
		['a backend is killed', killBackend, 'counting rows', swap, lost],
		// Behind it comes nothing but the commit, whose answer is lost.
		['a backend is killed', killBackend, 'counting rows', clean, /^COMMIT_UNKNOWN$/],
	] as const) {
		test(`${name}, at "${stage}", ${JSON.stringify(options)}: the old content is there, nothing is left`, async () => {
			const error = await failing(stage, happens, options);
			assert.match(error.code, code, error.message);
			await untilRecovered();
			assert.ok((await contentOf(server, 'live')) === untouched);
			assert.equal(await databases(), 'live postgres source');
		});
	}
});
