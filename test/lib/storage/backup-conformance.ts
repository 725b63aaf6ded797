import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';

import {
	deleteBackup,
	listBackups,
	openBackup,
	readBackup,
	removePin,
	storeBackup,
	writePin,
	writeProof,
	type StoredBackup,
} from '../../../lib/storage/backups';
import { serializeManifest } from '../../../lib/artifact/manifest';
import type { LifeboatError } from '../../../lib/errors';
import type { Storage } from '../../../lib/storage/storage';
import { runCommand } from '../../servers/process';

import { changed, dyingAfter, lazyBackup, putRaw, stagedBackup } from './backup-samples';
import { code, keysOf } from './conformance';
import { copyConformance } from './copy-conformance';

export interface BackupsUnderTest {
	storage: Storage;
	/** Changes one bit of an object behind the storage's back, not its size. */
	flipBit: (key: string) => Promise<void>;
	/** Brings all that lies in a folder of the storage into a local one, with a tool that isn't ours. */
	fetchAll: (prefix: string, folder: string) => Promise<void>;
	cleanup: () => Promise<void>;
}

const file = 'shop-20261121T020000Z.tar';

/** Of a backup of which nothing was said since. */
const marks = { pinned: false };

/** Registers the tests of what is a backup in a storage, for one kind of storage. */
export function backupConformance(name: string, make: () => Promise<BackupsUnderTest>): void {
	const check = (what: string, run: (under: BackupsUnderTest) => Promise<void>) =>
		test(what, async () => {
			const under = await make();
			try {
				await run(under);
			} finally {
				await under.storage.close();
				await under.cleanup();
			}
		});

	describe(`Backups in ${name}`, () => {
		copyConformance(check);

		check('carry a pin and a proof that list and deletion know', async ({ storage }) => {
			const { key, manifest } = await storeBackup(storage, await stagedBackup(), { prefix: 'marked' });
			const backupId = manifest.id;
			const time = '2026-11-21T03:00:00.000Z';
			const proof = {
				...{ backupId, storedSha256: manifest.stored.sha256, testedAt: time, passed: true },
				...{ method: 'temporary folder', recoveryTime: 1200, dataAge: 3_600_000 },
				checks: [{ name: 'files', passed: true }],
				tool: { name: 'n8n-nodes-lifeboat', version: '0.1.0' },
			};
			await writePin(storage, key, { backupId, pinnedAt: time, reason: 'before the move' });
			await writeProof(storage, key, proof);
			const [listed, ...others] = await all(storage, 'marked');
			assert.equal(others.length, 0);
			assert.deepEqual(listed, await readBackup(storage, key));
			assert.equal(listed.marks.pin?.reason, 'before the move');
			assert.deepEqual(listed.marks.proof, { formatVersion: 1, ...proof });

			await assert.rejects(deleteBackup(storage, key), code('PINNED'));
			const other = await stagedBackup(randomBytes(100));
			await assert.rejects(storeBackup(storage, other, { key, ifExists: 'replace' }), code('PINNED'));
			assert.deepEqual(await readBackup(storage, key), listed);

			// What can't be read still pins, and proves nothing.
			await putRaw(storage, `${key}.pin.json`, '{');
			await putRaw(storage, `${key}.proof.json`, JSON.stringify({ ...proof, formatVersion: 2 }));
			assert.deepEqual((await readBackup(storage, key)).marks, { pinned: true });
			await removePin(storage, key);
			await writeProof(storage, key, { ...proof, storedSha256: '0'.repeat(64) });
			assert.deepEqual((await readBackup(storage, key)).marks, { pinned: false });

			await writeProof(storage, key, proof);
			await storeBackup(storage, other, { key, ifExists: 'replace' });
			assert.deepEqual((await readBackup(storage, key)).marks, { pinned: false });
			await writeProof(storage, key, proof);
			await deleteBackup(storage, key);
			assert.deepEqual(await keysOf(storage, 'marked/'), []);
		});

		check('are stored with sidecars that sha256sum takes, and open again', async ({ storage, fetchAll }) => {
			const content = randomBytes(9_000_000);
			for (const artifact of [
				await stagedBackup(content, 'it’s a "shop"\\'),
				lazyBackup(content, 'ünï cödé'),
			]) {
				const stored = await storeBackup(storage, artifact, { prefix: '/nightly/a b/' });
				assert.equal(stored.key, `nightly/a b/${artifact.draft.fileName}`);
				assert.deepEqual(stored.proof, { ...stored.manifest.stored, method: 'read-back' });
				assert.equal(stored.manifest.stored.size, content.length);
				const found = await readBackup(storage, stored.key);
				assert.deepEqual(found, {
					key: stored.key,
					size: content.length,
					manifest: stored.manifest,
					marks,
				});
				const opened = await openBackup(storage, { key: found.key, manifest: found.manifest }).open();
				assert.ok(content.equals(await buffer(opened.stream)));
				assert.deepEqual(await opened.finish(), stored.manifest);
			}
			const folder = await mkdtemp(join(tmpdir(), 'lifeboat-fetched-'));
			try {
				await fetchAll('nightly/a b/', folder);
				const command = 'cat ./*.sha256 | wc -l && sha256sum --strict -c ./*.sha256';
				const output = await runCommand('sh', ['-c', command], { cwd: folder });
				assert.match(output, /^2\n(.*: OK\n){2}$/);
			} finally {
				await rm(folder, { recursive: true });
			}
		});

		check('are named by their key in manifest, checksum and commands', async ({ storage }) => {
			const { manifest } = await storeBackup(storage, await stagedBackup(), { key: 'by/other name.tar' });
			assert.equal(manifest.fileName, 'other name.tar');
			assert.match(manifest.restoreCommands.join('\n'), /sha256sum -c 'other name\.tar\.sha256'/);
			assert.deepEqual((await readBackup(storage, 'by/other name.tar')).manifest, manifest);
		});

		check('write their manifest last, after the proof', async ({ storage }) => {
			const steps: string[] = [];
			const watched = changed(storage, {
				put: (key, ...rest) => {
					steps.push(`put ${key}`);
					return storage.put(key, ...rest);
				},
				get: (key, ...rest) => {
					steps.push(`get ${key}`);
					return storage.get(key, ...rest);
				},
			});
			await storeBackup(watched, await stagedBackup());
			assert.deepEqual(steps, [
				...[`put ${file}`, `get ${file}`, `put ${file}.sha256`, `get ${file}.sha256`],
				...[`put ${file}.manifest.json`, `get ${file}.manifest.json`],
			]);
		});

		check('are refused when a bit has changed', async ({ storage, flipBit }) => {
			const { key, manifest } = await storeBackup(storage, await stagedBackup(randomBytes(9_000_000)));
			await flipBit(key);
			const opened = await openBackup(storage, { key, manifest }).open();
			await assert.rejects(buffer(opened.stream), code('CHECKSUM_MISMATCH'));
			await assert.rejects(opened.finish(), code('INCOMPLETE'));
		});

		check('are removed again when what is stored is not what was sent', async ({ storage, flipBit }) => {
			for (const artifact of [await stagedBackup(), lazyBackup(randomBytes(1000))]) {
				const damaging = changed(storage, {
					put: async (key, ...rest) => {
						await storage.put(key, ...rest);
						await flipBit(key);
						return (await storage.stat(key))!;
					},
				});
				await assert.rejects(storeBackup(damaging, artifact), (error: LifeboatError) => {
					assert.match(error.message, /is not what was sent.*It was removed again/s);
					return code('PROOF_FAILED')(error);
				});
				assert.deepEqual(await keysOf(storage, ''), []);
			}
		});

		check('are not stored when the artifact turns out incomplete', async ({ storage }) => {
			const cut = lazyBackup(randomBytes(9_000_000), 'shop', () => {
				throw new Error('the server closed the connection');
			});
			await assert.rejects(storeBackup(storage, cut), /the server closed the connection/);
			assert.deepEqual(await keysOf(storage, ''), []);
		});

		check('count as stored when the same one is stored again', async ({ storage, flipBit }) => {
			const artifact = await stagedBackup();
			const { sendingSeconds, ...first } = await storeBackup(storage, artifact);
			assert.ok(sendingSeconds! >= 0);
			const unchanged = changed(storage, { put: () => assert.fail('nothing is to be written') });
			assert.deepEqual(await storeBackup(unchanged, artifact), first);
			await assert.rejects(storeBackup(storage, await stagedBackup()), code('ALREADY_EXISTS'));
			await assert.rejects(storeBackup(storage, lazyBackup(randomBytes(10))), code('ALREADY_EXISTS'));
			await flipBit(first.key);
			await assert.rejects(storeBackup(storage, artifact), code('ALREADY_EXISTS'));
			const replaced = await storeBackup(storage, artifact, { ifExists: 'replace' });
			const { version } = (await storage.stat(first.key))!;
			const { provenVersion } = first.manifest;
			// Written again it may have got another version.
			const proven = provenVersion && { provenVersion: { ...provenVersion, version: version! } };
			const manifest = { ...first.manifest, ...proven };
			assert.deepEqual(replaced, { ...first, manifest, sendingSeconds: replaced.sendingSeconds });
		});

		check('never take the place of a foreign file, unless asked to', async ({ storage }) => {
			await putRaw(storage, file, 'holiday pictures');
			await assert.rejects(storeBackup(storage, await stagedBackup()), (error: LifeboatError) => {
				assert.match(error.message, /a file that is not this backup/);
				return code('ALREADY_EXISTS')(error);
			});
			await assert.rejects(storeBackup(storage, lazyBackup(randomBytes(10))), code('ALREADY_EXISTS'));
			assert.deepEqual(await keysOf(storage, ''), [file]);
			await storeBackup(storage, await stagedBackup(), { ifExists: 'replace' });
			assert.equal((await readBackup(storage, file)).problem, undefined);
		});

		check('survive a replacement that fails', async ({ storage }) => {
			const old = await storeBackup(storage, await stagedBackup());
			const cut = lazyBackup(randomBytes(9_000_000), 'shop', () => {
				throw new Error('the server closed the connection');
			});
			await assert.rejects(storeBackup(storage, cut, { ifExists: 'replace' }), /closed the connection/);
			const { size } = old.manifest.stored;
			assert.deepEqual(await readBackup(storage, file), { key: file, size, manifest: old.manifest, marks });
			const replaced = await storeBackup(storage, lazyBackup(randomBytes(10)), { ifExists: 'replace' });
			assert.deepEqual(await readBackup(storage, file), {
				key: file,
				size: 10,
				manifest: replaced.manifest,
				marks,
			});
		});

		check('are stored by one of several runs at once, whole', async ({ storage }) => {
			const artifacts = await Promise.all(Array.from({ length: 5 }, () => stagedBackup()));
			const results = await Promise.allSettled(artifacts.map((each) => storeBackup(storage, each)));
			const [winner, ...others] = results.filter((result) => result.status === 'fulfilled');
			assert.equal(others.length, 0);
			const { manifest } = winner!.value;
			assert.deepEqual(await readBackup(storage, file), { key: file, size: 100_000, manifest, marks });
			for (const result of results) {
				if (result.status === 'rejected') code('ALREADY_EXISTS')(result.reason as LifeboatError);
			}
		});

		check('never look whole after a crash, and a repeated run completes them', async ({ storage }) => {
			const artifact = await stagedBackup();
			for (let survived = 0; survived < 3; survived += 1) {
				await assert.rejects(storeBackup(dyingAfter(survived, storage), artifact), /the process is dead/);
				assert.equal((await keysOf(storage, '')).length, survived);
				assert.deepEqual(await all(storage), []);
				const { manifest } = await storeBackup(storage, artifact);
				assert.deepEqual(await all(storage), [{ key: file, size: 100_000, manifest, marks }]);
				await deleteBackup(storage, file);
				assert.deepEqual(await keysOf(storage, ''), []);
			}
		});

		check('are deleted so that a crash leaves what a later run finds', async ({ storage }) => {
			for (let survived = 0; survived <= 4; survived += 1) {
				const { manifest } = await storeBackup(storage, await stagedBackup());
				const deletion = deleteBackup(dyingAfter(survived, storage), file);
				await (survived === 4 ? deletion : assert.rejects(deletion, /the process is dead/));
				const [left, ...others] = await all(storage);
				assert.equal(others.length, 0);
				if (survived === 0) assert.deepEqual(left, { key: file, size: 100_000, manifest, marks });
				else if (survived === 4) assert.equal(left, undefined);
				else assert.match(left!.problem!, /^object missing/);
				await deleteBackup(storage, file);
				assert.deepEqual(await keysOf(storage, ''), []);
			}
		});

		check('are listed from their manifests, and nothing is passed over', async ({ storage }) => {
			const expected = new Map<string, string | undefined>();
			const store = async (key: string) => {
				expected.set(key, undefined);
				return (await storeBackup(storage, await stagedBackup(), { key })).manifest;
			};
			for (const key of ['a', 'a.tar', 'a.tar.sha256.tar', 'a-b/b.tar', 'deep/er/b.tar']) await store(key);
			for (let i = 0; i < 20; i += 1) await store(`many/${i}.tar`);
			await putRaw(storage, 'foreign.txt', 'not a backup');
			await putRaw(storage, 'foreign.tar.sha256', 'not even its object is there');
			await putRaw(storage, 'unfinished.tar', 'its manifest was never written');

			const whole = await store('broken/no-object.tar');
			await storage.delete('broken/no-object.tar');
			await store('broken/no-checksum.tar');
			await storage.delete('broken/no-checksum.tar.sha256');
			await store('broken/size.tar');
			await putRaw(storage, 'broken/size.tar', 'shorter');
			const broken: Record<string, [manifest: string | Buffer, problem: RegExp]> = {
				'broken/cut.tar': [serializeManifest(whole).slice(0, 100), /is not JSON/],
				'broken/bytes.tar': [Buffer.from([0x7b, 0xff, 0x7d]), /is not text/],
				'broken/empty.tar': ['', /is not JSON/],
				'broken/other.tar': ['{"formatVersion":1}', /is not a valid Lifeboat manifest/],
				'broken/new.tar': [JSON.stringify({ ...whole, formatVersion: 2 }), /format version 2/],
			};
			for (const [key, [text]] of Object.entries(broken)) {
				await store(key);
				await putRaw(storage, `${key}.manifest.json`, text);
			}

			const found = new Map((await all(storage)).map((backup) => [backup.key, backup]));
			assert.deepEqual([...found.keys()].toSorted(), [...expected.keys()].toSorted());
			for (const [key, { problem, manifest }] of found) {
				if (!key.startsWith('broken/')) assert.equal(problem, undefined, key);
				else assert.match(problem!, broken[key]?.[1] ?? /./, key);
				assert.equal(manifest === undefined, key in broken, key);
				assert.deepEqual(await readBackup(storage, key), found.get(key));
			}
			const problem = (key: string) => found.get(key)?.problem;
			assert.equal(problem('broken/no-object.tar'), 'object missing');
			assert.equal(problem('broken/no-checksum.tar'), 'checksum sidecar missing');
			assert.equal(problem('broken/size.tar'), 'the object has 7 bytes, its manifest says 100000');
			assert.equal(found.get('broken/no-object.tar')?.size, 0);
			assert.equal((await all(storage, 'many')).length, 20);
			assert.deepEqual(
				(await all(storage, '/deep/')).map(({ key }) => key),
				['deep/er/b.tar'],
			);
			assert.deepEqual(await all(storage, 'man'), []);
			await assert.rejects(readBackup(storage, 'nothing.tar'), code('NOT_FOUND'));
			assert.match((await readBackup(storage, 'unfinished.tar')).problem!, /never finished/);
		});

		check(
			'are listed with few requests at once, and a failing storage fails the list',
			async ({ storage }) => {
				for (let i = 0; i < 12; i += 1) await storeBackup(storage, await stagedBackup(), { key: `${i}.tar` });
				let [now, most] = [0, 0];
				const counted = changed(storage, {
					get: async (...args) => {
						most = Math.max(most, (now += 1));
						try {
							return await storage.get(...args);
						} finally {
							now -= 1;
						}
					},
				});
				assert.equal((await all(counted)).length, 12);
				assert.ok(most > 1 && most <= 4, `${most} at once`);
				const cut = changed(storage, {
					get: async (key, ...rest) => {
						if (key.startsWith('7.')) throw new Error('the network is down');
						return storage.get(key, ...rest);
					},
				});
				await assert.rejects(all(cut), /the network is down/);
			},
		);

		check('are not stored after an abort', async ({ storage }) => {
			const abort = new AbortController();
			const aborting = changed(storage, {
				get: (...args) => {
					abort.abort();
					return storage.get(...args);
				},
			});
			const { signal } = abort;
			await assert.rejects(storeBackup(aborting, await stagedBackup(), { signal }), { name: 'AbortError' });
			assert.deepEqual(await keysOf(storage, ''), []);
			await assert.rejects(storeBackup(storage, await stagedBackup(), { signal }), { name: 'AbortError' });
			assert.deepEqual(await keysOf(storage, ''), []);
		});
	});
}

async function all(storage: Storage, prefix?: string): Promise<StoredBackup[]> {
	const found: StoredBackup[] = [];
	for await (const backup of listBackups(storage, {
		...(prefix !== undefined && { prefix }),
		concurrency: 4,
	})) {
		found.push(backup);
	}
	return found;
}
