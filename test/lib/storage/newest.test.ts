import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { newestBackup } from '../../../lib/storage/backups';
import { localStorage } from '../../../lib/storage/local/local-storage';
import type { Storage } from '../../../lib/storage/storage';
import { putBackup } from '../retention/stored-backups';

describe('the newest backup of a job', () => {
	let folder: string;
	let storage: Storage;

	before(async () => {
		folder = await mkdtemp(join(tmpdir(), 'lifeboat-newest-'));
		storage = localStorage({ folder });
	});
	after(async () => {
		await storage?.close();
		await rm(folder, { recursive: true, force: true });
	});

	test('is told by the time in the manifests, to the millisecond', async () => {
		await putBackup(storage, 'times/z.tar', '2026-11-20T02:00:00Z');
		await putBackup(storage, 'times/a.tar', '2026-11-20T02:00:00.500Z');
		const { key, passedOver } = await newestBackup(storage, { prefix: 'times' });
		assert.deepEqual([key, passedOver], ['times/a.tar', undefined]);
		const before = new Date('2026-11-20T02:00:00.500Z');
		assert.equal((await newestBackup(storage, { prefix: 'times', before })).key, 'times/z.tar');
	});

	test('passes over what is not whole, and tells of so many that a message can hold', async () => {
		await putBackup(storage, 'broken/whole.tar', '2026-11-01T02:00:00Z');
		for (let day = 10; day < 22; day++) {
			await putBackup(storage, `broken/${day}.tar`, `2026-11-${day}T02:00:00Z`);
			await rm(join(folder, `broken/${day}.tar`));
		}
		const { key, passedOver } = await newestBackup(storage, { prefix: 'broken' });
		assert.equal(key, 'broken/whole.tar');
		assert.match(passedOver!, /broken\/10\.tar \(object missing\)/);
		assert.match(passedOver!, / and 2 more$/);
		assert.ok(!passedOver!.includes('broken/20.tar'));
	});

	test('is refused where several jobs are meant, each of which is named', async () => {
		await putBackup(storage, 'jobs/a', '2026-11-20T02:00:00Z', { name: 'a' });
		await putBackup(storage, 'jobs/b', '2026-11-21T02:00:00Z', { name: 'b' });
		await assert.rejects(newestBackup(storage, { prefix: 'jobs' }), {
			code: 'AMBIGUOUS',
			message: `There are backups of several jobs under "jobs" in folder ${folder}: a (files), b (files)`,
		});
		assert.equal((await newestBackup(storage, { prefix: 'jobs', name: 'a' })).key, 'jobs/a');
		await assert.rejects(newestBackup(storage, { prefix: 'jobs', kind: 'bundle' }), { code: 'NOT_FOUND' });
	});
});
