import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';

import { serializeManifest, type Manifest } from '../../../lib/artifact/manifest';
import type { LifeboatError } from '../../../lib/errors';
import {
	backupById,
	copyBackup,
	deleteChosenBackup,
	listForeignFiles,
	openBackup,
	readBackup,
	storeBackup,
	writePin,
	writeProof,
} from '../../../lib/storage/backups';
import { localStorage } from '../../../lib/storage/local/local-storage';
import type { Storage } from '../../../lib/storage/storage';

import { changed, putRaw, stagedBackup } from './backup-samples';
import { code, keysOf } from './conformance';

const time = '2026-11-21T03:00:00.000Z';

/** What a manifest says of the backup itself, not of the place where it lies. */
const anywhere = (manifest: Manifest) => ({ ...manifest, provenVersion: undefined });

const proofOf = (manifest: { id: string; stored: { sha256: string } }, testedAt = time) => ({
	...{ backupId: manifest.id, storedSha256: manifest.stored.sha256, testedAt, passed: true },
	...{ method: 'temporary folder', recoveryTime: 1200, dataAge: 3_600_000, checks: [] },
	tool: { name: 'n8n-nodes-lifeboat', version: '0.1.0' },
});

/** A local folder as the second storage. */
async function withFolder(run: (other: Storage) => Promise<void>): Promise<void> {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-copy-'));
	const other = localStorage({ folder });
	try {
		await run(other);
	} finally {
		await other.close();
		await rm(folder, { recursive: true });
	}
}

/** Registers what must hold of copying a backup into another storage, and of deleting one that somebody names. */
export function copyConformance(
	check: (what: string, run: (under: { storage: Storage }) => Promise<void>) => Promise<void>,
): void {
	void check('go to another storage and come back, bytes, manifest and proof', ({ storage }) =>
		withFolder(async (other) => {
			const content = randomBytes(9_000_000);
			const { key, manifest } = await storeBackup(storage, await stagedBackup(content), { prefix: 'from' });
			await writePin(storage, key, { backupId: manifest.id, pinnedAt: time });
			await writeProof(storage, key, proofOf(manifest));

			const there = await copyBackup(storage, key, other, { prefix: 'to' });
			assert.deepEqual(anywhere(there.manifest), anywhere(manifest));
			assert.equal(there.proof.sha256, manifest.stored.sha256);
			const copy = await readBackup(other, there.key);
			assert.equal(copy.problem, undefined);
			assert.deepEqual(copy.marks, { pinned: false, proof: { formatVersion: 1, ...proofOf(manifest) } });
			assert.ok(content.equals(await buffer(await other.get(there.key))));

			const back = await copyBackup(other, there.key, storage, { key: 'back/under another name.tar' });
			const renamed = { ...manifest, fileName: 'under another name.tar' };
			assert.deepEqual(
				anywhere({ ...back.manifest, restoreCommands: [] }),
				anywhere({ ...renamed, restoreCommands: [] }),
			);
			const opened = await openBackup(storage, back).open();
			assert.ok(content.equals(await buffer(opened.stream)));
		}),
	);

	void check('are copied twice without harm, with the proof that is newer', ({ storage }) =>
		withFolder(async (other) => {
			const { key, manifest } = await storeBackup(storage, await stagedBackup(), {});
			await writeProof(storage, key, proofOf(manifest));
			const testedThere = async () => (await readBackup(other, key)).marks.proof?.testedAt;
			await copyBackup(storage, key, other);
			await writeProof(other, key, proofOf(manifest, '2026-11-22T03:00:00.000Z'));
			const again = await copyBackup(storage, key, other);
			assert.equal(again.proof.sha256, manifest.stored.sha256);
			assert.equal(await testedThere(), '2026-11-22T03:00:00.000Z');
			// One that speaks of other bytes proves nothing anywhere.
			const { key: second, manifest: its } = await storeBackup(storage, await stagedBackup(), {
				key: 'b.tar',
			});
			await writeProof(storage, second, { ...proofOf(its), storedSha256: '0'.repeat(64) });
			assert.equal((await copyBackup(storage, second, other)).restoreProof, undefined);
			assert.equal(await other.stat(`${second}.proof.json`), undefined);
		}),
	);

	void check('that are damaged or not whole are not copied, and leave nothing', ({ storage }) =>
		withFolder(async (other) => {
			const { key } = await storeBackup(other, await stagedBackup(), {});
			const damaged = changed(other, {
				get: async (wanted, options) => {
					const stream = await other.get(wanted, options);
					return wanted === key ? stream.map((chunk: Buffer) => Buffer.alloc(chunk.length)) : stream;
				},
			});
			await assert.rejects(copyBackup(damaged, key, storage), code('CHECKSUM_MISMATCH'));
			await putRaw(other, 'alone.tar', 'x');
			await assert.rejects(copyBackup(other, 'alone.tar', storage), code('INCOMPLETE'));
			await assert.rejects(copyBackup(other, 'nothing.tar', storage), code('NOT_FOUND'));
			assert.deepEqual(await keysOf(storage, ''), []);
			const { key: mine } = await storeBackup(storage, await stagedBackup(), {});
			await assert.rejects(copyBackup(storage, mine, storage), code('INVALID_OPTION'));
			await assert.rejects(copyBackup(other, key, storage), code('ALREADY_EXISTS'));
		}),
	);

	void check('are told from the files of others', async ({ storage }) => {
		const { key } = await storeBackup(storage, await stagedBackup(), { prefix: 'x' });
		const { key: damaged } = await storeBackup(storage, await stagedBackup(), { key: 'x/damaged.tar' });
		await storage.delete(damaged);
		await writePin(storage, damaged, { backupId: 'another', pinnedAt: time });
		const foreign = [`${key}.manifest.json.sha256`, `${key}.txt`, 'x/lone.tar', 'x/lone.tar.sha256', 'z'];
		for (const each of foreign) await putRaw(storage, each, 'x');
		const found: string[] = [];
		for await (const file of listForeignFiles(storage)) found.push(file.key);
		assert.deepEqual(found.toSorted(), foreign.toSorted());
		const within: string[] = [];
		for await (const file of listForeignFiles(storage, { prefix: 'y' })) within.push(file.key);
		assert.deepEqual(within, []);
	});

	void check('are found by their id, unless it stands for several', async ({ storage }) => {
		const backup = await stagedBackup();
		const { id } = backup.manifest;
		const { key } = await storeBackup(storage, backup, { prefix: 'a' });
		assert.equal((await backupById(storage, id)).key, key);
		await assert.rejects(backupById(storage, id, { prefix: 'b' }), code('NOT_FOUND'));
		await storeBackup(storage, backup, { prefix: 'b' });
		await assert.rejects(backupById(storage, id), code('AMBIGUOUS'));
		assert.equal((await backupById(storage, id, { prefix: 'b' })).key, key.replace('a/', 'b/'));
	});

	void check('that somebody names are deleted with their files, nothing else is', async ({ storage }) => {
		const { key, manifest } = await storeBackup(storage, await stagedBackup(), { prefix: 'x' });
		await putRaw(storage, 'x/foreign.tar', 'not ours');
		await putRaw(storage, 'x/broken.tar', 'ours?');
		await putRaw(storage, 'x/broken.tar.manifest.json', '{');
		const before = await keysOf(storage, '');
		for (const [each, expected] of [
			['x/foreign.tar', 'NOT_A_BACKUP'],
			['x/broken.tar', 'NOT_A_BACKUP'],
			['x/nothing.tar', 'NOT_FOUND'],
			[`${key}.sha256`, 'NOT_A_BACKUP'],
			['../x', 'INVALID_KEY'],
		] as const) {
			await assert.rejects(deleteChosenBackup(storage, each), (error: LifeboatError) => {
				assert.ok(error.message.includes(each), error.message);
				return code(expected)(error);
			});
		}
		await writePin(storage, key, { backupId: manifest.id, pinnedAt: time });
		await assert.rejects(deleteChosenBackup(storage, key), code('PINNED'));
		assert.deepEqual(await keysOf(storage, ''), [...before, `${key}.pin.json`].toSorted());
		await storage.delete(`${key}.pin.json`);
		assert.equal((await deleteChosenBackup(storage, key)).manifest?.id, manifest.id);
		assert.deepEqual(
			await keysOf(storage, ''),
			before.filter((each) => !each.startsWith(key)),
		);
	});

	void check('on which increments build are not deleted before them', async ({ storage }) => {
		const full = await storeBackup(storage, await stagedBackup(), { key: 'c/full.tar' });
		const increment = await storeBackup(storage, await stagedBackup(), { key: 'c/deep/increment.tar' });
		const { id } = full.manifest;
		const chained = { ...increment.manifest, chain: { parent: id, base: id } };
		await putRaw(storage, `${increment.key}.manifest.json`, serializeManifest(chained));
		await assert.rejects(deleteChosenBackup(storage, full.key, { within: 'c' }), code('NEEDED'));
		// What an interrupted deletion left can be finished.
		await storage.delete(increment.key);
		await deleteChosenBackup(storage, increment.key);
		await deleteChosenBackup(storage, full.key, { within: 'c' });
		assert.deepEqual(await keysOf(storage, ''), []);
	});
}
