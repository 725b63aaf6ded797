// The whole story with real parts: a shop is backed up by its schedule, lost, restored by a webhook, and compared.
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { IDataObject } from 'n8n-workflow';

import { N8nClient, type Execution } from '../test/servers/n8n-client';

import { Cleanup } from './cleanup';
import { differences, fingerprintDatabase, fingerprintFolder } from './fingerprints';
import { count, during, heading, say, seconds, size } from './progress';
import { scheduleIn } from './schedule';
import { readSettings, usage, type DemoSettings } from './settings';
import { createCredentials, loseDatabase, makeFolders, openN8n, openShop } from './stage';
import { adjust, readWorkflow, type Adjustments } from './workflow-files';

async function demo({ sql, s3 }: DemoSettings, cleanup: Cleanup, signal: AbortSignal): Promise<boolean> {
	heading(sql ? `PostgreSQL, filled from ${sql}` : 'PostgreSQL with a sample shop, and a folder of uploads');
	const shop = await during('starting PostgreSQL and loading rows', openShop(cleanup, sql));
	const folders = await during('writing files', makeFolders(cleanup));
	const read = () => during('reading every row', fingerprintDatabase(shop.connection));
	const before = { database: await read(), folder: await fingerprintFolder(folders.uploads) };
	say(
		`The database "${shop.connection.database}" has ${count(before.database.rows)} rows in ${before.database.tables} tables, ${size(before.database.bytes)}`,
	);
	say(`${folders.uploads} has ${count(before.folder.files)} files, ${size(before.folder.bytes)}`);

	heading('A real n8n, with the Lifeboat nodes installed');
	let log = '';
	const n8n = await during(
		'n8n is starting and setting up its own database',
		openN8n(cleanup, shop, folders, { signal, onLog: (line) => (log = line) }),
		() => log,
	);
	const client = await n8n.login();
	const keys = await createCredentials(client, shop, s3);
	const adjustments: Adjustments = {
		uploads: folders.uploads,
		storage: s3 ? { storage: 's3', bucket: s3.bucket } : { storage: 'local', folder: folders.backups },
		credentials: keys.credentials,
	};
	await client.createWorkflow(adjust(await readWorkflow('back-up-and-prove'), adjustments));
	const restore = await client.createWorkflow(adjust(await readWorkflow('restore-on-webhook'), adjustments));
	const schedule = scheduleIn(8);
	const parameters = { 'Every night at two': { rule: schedule.rule } };
	const nightly = await client.createWorkflow(
		adjust(await readWorkflow('nightly-backup'), { ...adjustments, parameters }),
	);
	await client.activate(nightly.id);
	say(`n8n runs at ${n8n.url}; three example workflows are imported, with credentials and folders filled in`);

	heading('Backup, started by its schedule');
	say(
		`"${nightly.name}" is active. So that you need not wait for two o'clock, its schedule says ${schedule.at.toISOString().slice(11, 19)} UTC`,
	);
	const executionId = await during('waiting for the schedule', client.started(nightly.id));
	say('The schedule has started it');
	const backup = await during('the backup runs', client.finished(executionId, 600_000));
	if (backup.status !== 'success') throw new Error(`The backup failed: ${reason(backup)}`);
	const { stored, manifest } = output(backup, 'Upload') as unknown as Stored;
	const took = Date.parse(backup.stoppedAt!) - Date.parse(backup.startedAt);
	say(`Backed up in ${seconds(took)}: ${stored.key}, ${size(manifest.stored.size)}, encrypted with age`);
	say(`It lies in ${stored.storage}`);

	heading('Disaster');
	await loseDatabase(shop);
	await rm(folders.uploads, { recursive: true });
	const lost = await fingerprintDatabase(shop.connection);
	say(
		`The database was dropped: an empty one with ${lost.rows} rows in ${lost.tables} tables is in its place. ${folders.uploads} is gone`,
	);

	heading('Restore, started by a webhook');
	await client.activate(restore.id);
	const started = performance.now();
	const answer = await during(
		'restoring',
		client.webhook('restore-shop', { method: 'POST', headers: keys.header }),
	);
	const body = await answer.text();
	if (answer.status !== 200) throw new Error(`The webhook answered ${answer.status}: ${body}`);
	say(
		`POST ${n8n.url}/webhook/restore-shop answered ${answer.status} after ${seconds(performance.now() - started)}`,
	);

	heading('Comparison with what was there before');
	const after = { database: await read(), folder: await fingerprintFolder(folders.uploads) };
	const inDatabase = differences(before.database.things, after.database.things);
	const inFolder = differences(before.folder.things, after.folder.things);
	for (const difference of [...inDatabase, ...inFolder].slice(0, 50)) say(`  ✖ ${difference}`);
	const held = inDatabase.length + inFolder.length === 0;
	if (held) {
		say(
			`Database: all ${count(after.database.rows)} rows of ${after.database.tables} tables are the same, row by row; so are ${count(after.database.things.size - after.database.tables)} definitions (columns, keys, indexes, views, functions, sequences, owners)`,
		);
		say(
			`Folder: all ${count(after.folder.files)} files are the same, byte by byte; so are names, modes and links`,
		);
		say('✔ Everything is back');
	} else {
		say(`✖ ${inDatabase.length} differences in the database, ${inFolder.length} in the folder`);
	}
	heading('Look around');
	say(`Editor:   ${n8n.url}`);
	say(`Login:    ${N8nClient.owner.email}   Password: ${N8nClient.owner.password}`);
	say(
		`Database: psql ${`postgresql://${shop.connection.user}:${shop.connection.password}@${shop.connection.host}:${shop.connection.port}/${shop.connection.database}`}`,
	);
	say(`Files:    ${folders.uploads}`);
	if (!s3) say(`Backups:  ${join(folders.backups, 'shop')}, opened by the age identity ${keys.identity}`);
	return held;
}

/** What Upload tells of the backup. */
interface Stored {
	stored: { key: string; storage: string };
	manifest: { stored: { size: number } };
}

const reason = ({ status, data }: Execution) => data.resultData.error?.message ?? status;

/** The first item of a node. */
function output(execution: Execution, node: string): IDataObject {
	const item = execution.data.resultData.runData[node]?.at(-1)?.data?.main?.[0]?.[0];
	if (!item) throw new Error(`The node ${node} gave nothing`);
	return item.json;
}

async function main(): Promise<void> {
	const settings = readSettings(process.argv.slice(2), process.env);
	const cleanup = new Cleanup();
	const stop = new AbortController();
	for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
	const stopped = once(stop.signal, 'abort').then(() => 'stopped' as const);
	const running = demo(settings, cleanup, stop.signal);
	try {
		const result = await Promise.race([running, stopped]);
		if (result === 'stopped') {
			process.exitCode = 130;
		} else {
			process.exitCode = result ? 0 : 1;
			if (!settings.exit) {
				say('It stays up until you press Ctrl+C');
				await stopped;
			}
		}
	} finally {
		say('Stopping everything that was started');
		await cleanup.run();
		// What was just being started is undone as well.
		await Promise.allSettled([running]);
	}
	process.exit();
}

main().catch((error: unknown) => {
	console.error(`\n✖ ${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
	process.exit(1);
});
