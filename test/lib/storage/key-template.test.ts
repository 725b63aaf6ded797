import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import type { LifeboatError } from '../../../lib/errors';
import { keyPlaceholders, planKey, storeBackup, storeNumbered } from '../../../lib/storage/backups';
import { localStorage } from '../../../lib/storage/local/local-storage';

import { putRaw, stagedBackup } from './backup-samples';
import { code, keysOf } from './conformance';

const context = { workflow: 'Nightly / all', execution: '17', host: 'n8n-1' };

test('a template names a backup by what its manifest and the run say', async () => {
	const { manifest } = await stagedBackup();
	const key = (template: string, prefix = '') => planKey(prefix, template, manifest, context).before;
	assert.equal(key('{file}', 'p/'), 'p/shop-20261121T020000Z.tar');
	assert.equal(key('{name}/{year}/{month}/{day}/{time}{extension}'), 'shop/2026/11/21/020000.tar');
	assert.equal(
		key('{host}/{workflow}/{execution}-{date}-{kind}-{id}'),
		`n8n-1/Nightly - all/17-2026-11-21-files-${manifest.id}`,
	);
	const versioned = { ...manifest, fileName: 'db v1.2-20261121T020000Z.sql.zst.age' };
	assert.equal(planKey('', 'x{extension}', versioned, context).before, 'x.sql.zst.age');
	const sneaky = { ...manifest, name: '../../etc' };
	assert.equal(planKey('', '{name}.tar', sneaky, context).before, '..-..-etc.tar');
	assert.throws(() => planKey('', '{name}', { ...manifest, name: '..' }, context), code('INVALID_KEY'));
	for (const [template, expected] of [
		['{nmae}', 'INVALID_OPTION'],
		['{sequence}{sequence}', 'INVALID_OPTION'],
		['', 'INVALID_KEY'],
		['/{file}', 'INVALID_KEY'],
		['../{file}', 'INVALID_KEY'],
	] as const) {
		assert.throws(() => key(template), code(expected), template);
	}
	assert.throws(
		() => key('{nmae}'),
		({ hint }: LifeboatError) => Object.keys(keyPlaceholders).every((each) => hint!.includes(`{${each}}`)),
	);
});

test('a sequence goes on from the highest number, also with several runs at once, and not for a repeated run', async () => {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-sequence-'));
	try {
		const storage = localStorage({ folder });
		const store = async (
			backup: Awaited<ReturnType<typeof stagedBackup>>,
			template = 's/{sequence}-{file}',
		) =>
			await storeNumbered(
				storage,
				planKey('', template, backup.manifest, context),
				backup.manifest.id,
				async (key) => (await storeBackup(storage, backup, { key })).key,
			);
		const file = 'shop-20261121T020000Z.tar';
		const first = await stagedBackup();
		assert.equal(await store(first), `s/0001-${file}`);
		assert.equal(await store(first), `s/0001-${file}`);
		// These are not numbers of such backups.
		for (const other of ['s/20261121', 's/12', 's/0099/x', 's/0098x', 's/notes'])
			await putRaw(storage, other, 'x');
		assert.equal(await store(await stagedBackup()), `s/0002-${file}`);
		await putRaw(storage, 's/0041-another job.sql.manifest.json', '{}');
		assert.equal(await store(await stagedBackup()), `s/0042-${file}`);
		await putRaw(storage, 's/9999-x', '');
		assert.equal(await store(await stagedBackup()), `s/10000-${file}`);

		const backups = await Promise.all([1, 2, 3, 4].map(() => stagedBackup(randomBytes(1000))));
		const keys = await Promise.all(backups.map((backup) => store(backup, 't/{sequence}.tar')));
		assert.deepEqual(keys.toSorted(), ['t/0001.tar', 't/0002.tar', 't/0003.tar', 't/0004.tar']);
		assert.equal((await keysOf(storage, 't/')).length, 12);
	} finally {
		await rm(folder, { recursive: true });
	}
});
