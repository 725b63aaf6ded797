import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { Client } from 'pg';

import {
	differences,
	fingerprintDatabase,
	fingerprintFolder,
	type DatabaseFingerprint,
	type FolderFingerprint,
} from '../../demo/fingerprints';
import { scheduleIn } from '../../demo/schedule';
import { loseDatabase } from '../../demo/stage';
import type { Execution, StoredWorkflow } from '../servers/n8n-client';

import { itemsOf, type Stage } from './stage';

const exec = promisify(execFile);

type Answer = { error?: string; hint?: string; restored?: Array<Record<string, unknown>> };

/** Registers the tests that run the example workflows. Each goes on where the one before ended. */
export function workflowTests(stage: () => Stage): void {
	describe('the example workflows', () => {
		let nightly: StoredWorkflow;
		let restore: StoredWorkflow;
		let database: DatabaseFingerprint;
		let uploads: FolderFingerprint;

		const inDatabase = async () =>
			differences(database.things, (await fingerprintDatabase(stage().shop.connection)).things);
		const inUploads = async () =>
			differences(uploads.things, (await fingerprintFolder(stage().folders.uploads)).things);
		const askToRestore = async (headers: Record<string, string> = stage().keys.header) => {
			const answer = await stage().client.webhook('restore-shop', { method: 'POST', headers });
			const text = await answer.text();
			// What n8n itself refuses, it refuses in plain text.
			return {
				status: answer.status,
				body: (text.startsWith('{') ? JSON.parse(text) : { error: text }) as Answer,
			};
		};
		/** What was staged between nodes goes when the execution ends, which is a moment after its webhook answers. */
		const assertNothingStaged = async () => {
			const staged = async () => readdir(join(stage().folders.scratch, 'lifeboat-staging'));
			for (let tries = 0; tries < 50 && (await staged()).length > 0; tries++) await sleep(100);
			assert.deepEqual(await staged(), []);
		};
		const storedBackups = async () =>
			(await readdir(stage().backups)).filter((name) => name.endsWith('.age')).sort();

		before(async () => {
			const { shop, folders } = stage();
			database = await fingerprintDatabase(shop.connection);
			uploads = await fingerprintFolder(folders.uploads);
		});

		test('the schedule starts the nightly backup, which stores one encrypted bundle', async () => {
			const { client, load } = stage();
			nightly = await load('nightly-backup', { 'Every night at two': { rule: scheduleIn(8).rule } });
			await client.activate(nightly.id);
			const execution = await client.finished(await client.started(nightly.id));
			await client.deactivate(nightly.id);
			assert.equal(execution.mode, 'trigger');
			const [decision] = itemsOf(execution, 'Apply Retention');
			assert.equal(execution.status, 'success');
			assert.equal(decision?.deleted, false);
			const [name, ...others] = await storedBackups();
			assert.deepEqual(others, []);
			assert.deepEqual((await readdir(stage().backups)).sort(), [
				...[name, `${name}.manifest.json`, `${name}.sha256`],
			]);
			await assertNothingStaged();
		});

		test('standard tools open what it stored', async () => {
			const { backups, folders, keys } = stage();
			const [name] = await storedBackups();
			await exec('sha256sum', ['-c', `${name}.sha256`], { cwd: backups });
			const work = join(folders.scratch, 'by-hand');
			await mkdir(work);
			await writeFile(join(work, 'identity'), keys.identity, { mode: 0o600 });
			await exec(
				'bash',
				['-o', 'pipefail', '-c', 'age -d -i identity < "$0" | tar -x', join(backups, name!)],
				{
					cwd: work,
				},
			);
			const parts = await readdir(work, { recursive: true });
			const dump = parts.find((part) => part.endsWith('.sql.zst'));
			const archive = parts.find((part) => part.endsWith('.tar.zst'));
			assert.ok(dump && archive && parts.includes('manifest.json'), parts.join(' '));
			await exec(
				'bash',
				['-o', 'pipefail', '-c', 'mkdir files && zstd -dc "$0" | tar -x -C files', archive],
				{
					cwd: work,
				},
			);
			const found = (await readdir(join(work, 'files'), { recursive: true })).find((path) =>
				path.endsWith('catalogue.pdf'),
			);
			assert.equal((await stat(join(work, 'files', found!))).size, 6_000_000);
			await rm(work, { recursive: true });
		});

		test('the restore webhook wants its header, and leaves what is not empty alone', async () => {
			const { client, load } = stage();
			restore = await load('restore-on-webhook');
			await client.activate(restore.id);
			assert.equal((await askToRestore({})).status, 403);
			assert.equal((await askToRestore({ 'X-Restore-Token': 'wrong' })).status, 403);
			const { status, body } = await askToRestore();
			assert.equal(status, 500);
			assert.match(body.error ?? '', /not empty/);
			assert.match(body.hint ?? '', /\S/);
			assert.deepEqual(await inDatabase(), []);
			assert.deepEqual(await inUploads(), []);
		});

		test('a flipped bit in the stored backup is found before anything is touched', async () => {
			const { shop, folders, backups } = stage();
			await loseDatabase(shop);
			await rm(folders.uploads, { recursive: true });
			const [name] = await storedBackups();
			const undo = await flipBit(join(backups, name!));
			const { status, body } = await askToRestore();
			await undo();
			assert.equal(status, 500);
			assert.match(body.error ?? '', /checksum|SHA-256|damaged/i);
			assert.equal((await fingerprintDatabase(shop.connection)).things.size, 0);
			await assert.rejects(stat(folders.uploads), { code: 'ENOENT' });
			await assertNothingStaged();
		});

		test('the webhook restores database and files', async () => {
			const { status, body } = await askToRestore();
			assert.equal(status, 200, JSON.stringify(body));
			const [first, second] = body.restored ?? [];
			assert.equal(first?.kind, 'database');
			assert.equal(second?.kind, 'files');
			assert.deepEqual(await inDatabase(), []);
			assert.deepEqual(await inUploads(), []);
			await assertNothingStaged();
		});

		test('retention deletes what its policy does not keep, once it is told to', async () => {
			const { client, load } = stage();
			const [older] = await storedBackups();
			const workflow = await load('nightly-backup', {
				'Apply Retention': { mode: 'delete', rules: { keepLast: 1 } },
			});
			const execution = await client.finished(await client.execute(workflow.id, 'Every night at two'));
			const decisions = itemsOf(execution, 'Apply Retention');
			const deleted = decisions.filter((decision) => decision.deleted === true);
			assert.deepEqual(
				deleted.map(({ key }) => key),
				[`shop/${older}`],
				JSON.stringify(decisions, null, 1),
			);
			const left = await storedBackups();
			assert.equal(left.length, 1);
			assert.notEqual(left[0], older);
			assert.equal((await readdir(stage().backups)).length, 3);
		});

		test('back-up-and-prove restores into a scratch database and reports', async () => {
			const { client, load, shop } = stage();
			await createProofDatabase(stage());
			const workflow = await load('back-up-and-prove');
			const execution: Execution = await client.finished(await client.execute(workflow.id, 'When clicking'));
			assert.match(
				itemsOf(execution, 'Report')[0]?.proof as string,
				/^shop-before-update: restored \d+ rows/,
			);
			const proof = await fingerprintDatabase({ ...shop.connection, database: 'shop_proof' });
			assert.deepEqual(differences(database.things, proof.things), []);
			await assertNothingStaged();
		});

		test('weekly-restore-test restores the newest backup for a test, and leaves a proof beside it', async () => {
			const { client, load } = stage();
			const workflow = await load('weekly-restore-test');
			const execution = await client.finished(await client.execute(workflow.id, 'Every Sunday at four'));
			assert.match(itemsOf(execution, 'Report')[0]?.proof as string, /^shop: restored in .* checks passed$/);
			const [name] = await storedBackups();
			const proof = await readFile(join(stage().backups, `${name}.proof.json`), 'utf8');
			assert.equal((JSON.parse(proof) as { passed: boolean }).passed, true);
			await assertNothingStaged();
		});
	});
}

/** Flips one bit in the middle of a file; the result flips it back. */
async function flipBit(path: string): Promise<() => Promise<void>> {
	const flip = async () => {
		const file = await open(path, 'r+');
		try {
			const position = Math.floor((await file.stat()).size / 2);
			const { buffer } = await file.read(Buffer.alloc(1), 0, 1, position);
			await file.write(Buffer.of(buffer[0]! ^ 0x10), 0, 1, position);
		} finally {
			await file.close();
		}
	};
	await flip();
	return flip;
}

async function createProofDatabase({ shop }: Stage): Promise<void> {
	const client = new Client({ ...shop.connection, database: 'postgres' });
	await client.connect();
	try {
		await client.query('CREATE DATABASE shop_proof');
	} finally {
		await client.end();
	}
}
