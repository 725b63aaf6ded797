import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { deleteBackup, readBackup, storeBackup } from '../../../lib/storage/backups';
import { localStorage } from '../../../lib/storage/local/local-storage';
import type { Storage } from '../../../lib/storage/storage';
import { changed, stagedBackup } from './backup-samples';

const key = 'shop.tar';

describe('two runs that replace the same backup at the same time', () => {
	let folder: string;
	let storage: Storage;

	before(async () => {
		folder = await mkdtemp(join(tmpdir(), 'lifeboat-overlap-'));
		storage = localStorage({ folder });
	});

	after(async () => {
		await rm(folder, { recursive: true });
	});

	/** Stores a backup while another run stores one, all of it, right before a step of the first. */
	const overlap = async (
		isStep: (name: 'get' | 'put', key: string) => boolean,
		more: Partial<Storage> = {},
	) => {
		const [mine, others] = [await stagedBackup(), await stagedBackup()];
		await storeBackup(storage, await stagedBackup(), { key, ifExists: 'replace' });
		let isOver = false;
		const other = async (name: 'get' | 'put', at: string) => {
			if (isOver || !isStep(name, at)) return;
			isOver = true;
			await storeBackup(storage, others, { key, ifExists: 'replace' });
		};
		const between = changed(storage, {
			get: async (at, options) => {
				await other('get', at);
				return await storage.get(at, options);
			},
			put: async (at, source, options) => {
				await other('put', at);
				return await storage.put(at, source, options);
			},
			...more,
		});
		const result = storeBackup(between, mine, { key, ifExists: 'replace' });
		return { result, others: others.manifest };
	};

	test('the one that finds bytes of the other leaves its whole backup alone', async () => {
		// As of a server that tells times in seconds, and no more.
		const stat: Storage['stat'] = async (at) => {
			const found = await storage.stat(at);
			return found && { ...found, version: 'the same' };
		};
		const { result, others } = await overlap((name, at) => name === 'get' && at === key, { stat });
		await assert.rejects(result, { code: 'PROOF_FAILED', message: /replaced it meanwhile.*left alone$/ });
		const { manifest, problem } = await readBackup(storage, key);
		assert.deepEqual([manifest?.id, problem], [others.id, undefined]);
		await deleteBackup(storage, key);
	});

	test('none succeeds with its manifest beside the bytes of the other', async () => {
		const { result, others } = await overlap((name, at) => name === 'put' && at.endsWith('.manifest.json'));
		await assert.rejects(result, { code: 'REPLACED', message: /replaced shop\.tar in folder/ });
		const { manifest, size } = await readBackup(storage, key);
		assert.deepEqual([manifest, size], [undefined, others.stored.size]);
		await storage.delete(key);
		await storage.delete(`${key}.sha256`);
	});
});
