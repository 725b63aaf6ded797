import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { deleteBackup, proofKey, readBackup, storeBackup } from '../../../lib/storage/backups';
import { localStorage } from '../../../lib/storage/local/local-storage';
import type { Storage } from '../../../lib/storage/storage';
import { keepProof } from '../../../lib/verification/keep-proof';
import type { RestoreTestReport } from '../../../lib/verification/restore-test';
import { failsWith } from '../archive/helpers';
import { stagedBackup } from '../storage/backup-samples';

let folder: string;
let storage: Storage;
const key = 'shop.tar';
before(async () => {
	folder = await mkdtemp(join(tmpdir(), 'lifeboat-proof-'));
	storage = localStorage({ folder });
});
after(() => rm(folder, { recursive: true }));

const found = (result: RestoreTestReport['result']): RestoreTestReport => ({
	...{ result, level: 'restores', method: 'temporary folder', testedAt: '2026-11-21T03:00:00.000Z' },
	...{ recoveryTime: 1, dataAge: 2, seconds: 1, checks: [], proved: [], warnings: [] },
});
const store = async () => {
	await storeBackup(storage, await stagedBackup(randomBytes(1000)), { key, ifExists: 'replace' });
	return (await readBackup(storage, key)).manifest!;
};
const proof = async () => (await readBackup(storage, key)).marks.proof?.passed;

test('a proof lies beside the backup that was tested, passed or not, but none of what could not be tested', async () => {
	const manifest = await store();
	assert.equal(await keepProof(storage, key, manifest, found('not testable')), false);
	assert.equal(await proof(), undefined);
	assert.equal(await keepProof(storage, key, manifest, found('passed')), true);
	assert.equal(await proof(), true);
	assert.equal(await keepProof(storage, key, manifest, found('not testable')), false);
	assert.equal(await proof(), true);
	assert.equal(await keepProof(storage, key, manifest, found('failed')), true);
	assert.equal(await proof(), false);
});

test('of a backup that is gone or replaced by then nothing is written, nor is the proof of another one', async () => {
	const tested = await store();
	const other = await store();
	await keepProof(storage, key, other, found('passed'));
	const isGone = failsWith('NOT_FOUND', /no longer the backup that was tested/);
	await assert.rejects(keepProof(storage, key, tested, found('passed')), isGone);
	// Why it failed is worth more than that it is gone.
	const report = found('failed');
	assert.equal(await keepProof(storage, key, tested, report), false);
	assert.match(report.warnings.join(), /No proof was written/);
	assert.equal(await proof(), true, 'the proof of the one that lies there');
	// The same backup with other keys has the same id.
	const otherKeys = { ...other, stored: { ...other.stored, sha256: '0'.repeat(64) } };
	await assert.rejects(keepProof(storage, key, otherKeys, found('passed')), isGone);
	await deleteBackup(storage, key);
	await assert.rejects(keepProof(storage, key, other, found('passed')), isGone);
	assert.equal(await storage.stat(proofKey(key)), undefined);
});
