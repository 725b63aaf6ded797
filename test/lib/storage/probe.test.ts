import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { LifeboatError } from '../../../lib/errors';
import { localStorage } from '../../../lib/storage/local/local-storage';
import { probeStorage, probeSteps } from '../../../lib/storage/probe';
import type { Storage } from '../../../lib/storage/storage';

import { changed } from './backup-samples';

describe('a probe of a storage', () => {
	let folder: string;
	let storage: Storage;
	beforeEach(async () => {
		folder = await mkdtemp(join(tmpdir(), 'lifeboat-probe-'));
		storage = localStorage({ folder });
	});
	afterEach(() => rm(folder, { recursive: true }));

	const files = async () =>
		(await readdir(folder, { recursive: true, withFileTypes: true })).filter((f) => f.isFile());

	test('finds nothing wrong with one that works, and leaves nothing', async () => {
		const { ok, steps, freeBytes } = await probeStorage(storage, 'a/');
		assert.ok(ok);
		assert.deepEqual(Object.keys(steps), [...probeSteps]);
		assert.ok(freeBytes! > 0);
		assert.deepEqual(await files(), []);
	});

	const refused = () => {
		throw new LifeboatError('ACCESS_DENIED', 'no permission', { hint: 'ask for it' });
	};
	for (const [what, faulty, failing] of [
		['may not write', { put: refused }, ['write']],
		['may not read', { get: refused }, ['readBack', 'readPart', 'replace']],
		[
			'damages bytes',
			{ get: async () => Readable.from([Buffer.alloc(65536)]) },
			['readBack', 'readPart', 'replace'],
		],
		['forgets to list', { async *list() {} }, ['list']],
		['may not delete', { delete: refused }, ['delete']],
		['does not delete', { delete: async () => {} }, ['delete']],
	] as Array<[string, Partial<Storage>, string[]]>) {
		test(`finds out that it ${what}`, async () => {
			const { ok, steps } = await probeStorage(changed(storage, faulty), '');
			assert.ok(!ok);
			const failed = Object.entries(steps).filter(([, step]) => !step.ok);
			assert.deepEqual(
				failed.map(([step]) => step),
				failing,
			);
			for (const [, { problem, hint }] of failed) assert.ok(problem && hint);
			if (!failing.includes('delete')) assert.deepEqual(await files(), []);
		});
	}

	test('finds out that it overwrites', async () => {
		const careless = changed(storage, {
			put: (key, source, options) => storage.put(key, source, { ...options, ifExists: 'replace' }),
		});
		const { steps } = await probeStorage(careless, '');
		assert.match(steps.refuseOverwrite!.problem!, /was overwritten/);
	});

	test('is removed after an abort, too', async () => {
		const abort = new AbortController();
		const aborting = changed(storage, {
			get: async () => {
				abort.abort();
				throw abort.signal.reason;
			},
		});
		await assert.rejects(probeStorage(aborting, '', abort.signal), { name: 'AbortError' });
		assert.deepEqual(await files(), []);
	});
});
