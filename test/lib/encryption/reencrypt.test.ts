import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';

import { applyEncoding, undoEncodings } from '../../../lib/artifact/transform';
import { storedArtifact } from '../../../lib/artifact/file-artifact';
import { compressionEncoding } from '../../../lib/compression/compression';
import { decoderWith } from '../../../lib/encryption/decoder';
import { createAgeIdentity, encryptionEncoding } from '../../../lib/encryption/encryption';
import { reencrypt } from '../../../lib/encryption/reencrypt';
import {
	reencryptBackup,
	listBackups,
	openBackup,
	readBackup,
	storeBackup,
} from '../../../lib/storage/backups';
import { pinKey } from '../../../lib/storage/backups/sidecars';
import { localStorage } from '../../../lib/storage/local/local-storage';
import type { Storage } from '../../../lib/storage/storage';

import { artifactOf, readWhole } from '../artifact/samples';
import { assertLifeboatError, sampleBytes } from './helpers';

const NOW = new Date('2026-11-22T10:15:00.000Z');

describe('a backup with other keys', () => {
	let old: { identity: string; recipient: string };
	let next: { identity: string; recipient: string };
	const data = Buffer.concat([sampleBytes(200_000), Buffer.alloc(500_000, 'rows\n')]);

	before(async () => {
		[old, next] = await Promise.all([createAgeIdentity(), createAgeIdentity()]);
	});

	/** A backup compressed and encrypted for the old key. */
	const encrypted = async () => {
		const encoding = await encryptionEncoding('age', { recipients: [old.recipient] });
		const artifact = applyEncoding(applyEncoding(artifactOf(data), compressionEncoding('zstd')), encoding);
		const { bytes, manifest } = await readWhole(artifact);
		return { bytes, manifest, artifact: storedArtifact(manifest, async () => Readable.from([bytes])) };
	};
	const decoder = () => decoderWith({ identities: [old.identity] });

	test('keeps content, compression, id and times; names what opens it now', async () => {
		const { artifact, manifest: before } = await encrypted();
		for (const [name, targets, keys, options] of [
			['age', { recipients: [next.recipient] }, { identities: [next.identity] }, {}],
			['age', { passphrase: 'x' }, { passphrase: 'x' }, { scryptLogN: 10 }],
			['aes-256-gcm', { passphrase: 'x' }, { passphrase: 'x' }, { pbkdf2Rounds: 100_000 }],
			['openpgp', { passphrase: 'x' }, { passphrase: 'x' }, {}],
		] as const) {
			const encoding = await encryptionEncoding(name, targets, options);
			const { bytes, manifest } = await readWhole(reencrypt(artifact, decoder(), encoding));
			assert.deepEqual(manifest.content, before.content);
			assert.deepEqual(manifest.transformations, [before.transformations[0], encoding.transformation]);
			assert.equal(manifest.fileName, before.fileName.replace(/\.age$/, encoding.extension));
			assert.deepEqual([manifest.id, manifest.createdAt], [before.id, before.createdAt]);
			const again = storedArtifact(manifest, async () => Readable.from([bytes]));
			const opened = await readWhole(undoEncodings(again, decoderWith(keys)));
			assert.ok(data.equals(opened.bytes));
			if ('recipients' in targets) {
				await assert.rejects(readWhole(undoEncodings(again, decoder())), { code: 'WRONG_KEY' });
			}
		}
	});

	test('is not made from content other than the manifest says, nor from damaged bytes or with wrong keys', async () => {
		const { bytes, manifest } = await encrypted();
		const encoding = await encryptionEncoding('age', { recipients: [next.recipient] });
		const attempt = async (changed: typeof manifest, stored: Buffer, identities: string[]) => {
			const artifact = storedArtifact(changed, async () => Readable.from([stored]));
			return readWhole(reencrypt(artifact, decoderWith({ identities }), encoding));
		};
		const otherContent = { ...manifest, content: { ...manifest.content, sha256: '0'.repeat(64) } };
		await assert.rejects(attempt(otherContent, bytes, [old.identity]), { code: 'CHECKSUM_MISMATCH' });
		const flipped = Buffer.from(bytes);
		flipped[flipped.length - 100]! ^= 1;
		await assert.rejects(attempt(manifest, flipped, [old.identity]), (error) => {
			// Whichever of the two notices first.
			assertLifeboatError(error, 'DAMAGED', 'CHECKSUM_MISMATCH');
			return true;
		});
		await assert.rejects(attempt(manifest, bytes.subarray(0, -1), [old.identity]));
		await assert.rejects(attempt(manifest, bytes, [next.identity]), { code: 'WRONG_KEY' });
		const plain = await readWhole(artifactOf(data));
		assert.throws(
			() =>
				reencrypt(
					storedArtifact(plain.manifest, async () => Readable.from([data])),
					decoder(),
					encoding,
				),
			{ code: 'NOT_ENCRYPTED' },
		);
	});

	describe('in a storage', () => {
		let folder: string;
		let storage: Storage;

		before(async () => {
			folder = await mkdtemp(join(tmpdir(), 'lifeboat-reencrypt-'));
			storage = localStorage({ folder });
		});
		after(() => rm(folder, { recursive: true }));

		const keysThere = async () => {
			const keys: string[] = [];
			for await (const { key, problem } of listBackups(storage))
				keys.push(problem ? `${key}: ${problem}` : key);
			return keys;
		};

		test('takes the place of the old one, which goes last; and again', async () => {
			const { artifact } = await encrypted();
			const { key } = await storeBackup(storage, artifact, { prefix: 'shop' });
			const encoding = await encryptionEncoding('age', { recipients: [next.recipient] });
			const first = await reencryptBackup(storage, key, { decoder: decoder(), encoding, now: NOW });
			assert.match(first.key, /^shop\/.*_r20261122T101500Z/);
			assert.deepEqual(await keysThere(), [first.key]);
			const aes = await encryptionEncoding('aes-256-gcm', { passphrase: 'x' }, { pbkdf2Rounds: 100_000 });
			const second = await reencryptBackup(storage, first.key, {
				decoder: decoderWith({ identities: [next.identity] }),
				encoding: aes,
				now: new Date(+NOW + 1000),
			});
			assert.match(second.key, /_r20261122T101501Z[^_]*\.aes$/);
			assert.deepEqual(await keysThere(), [second.key]);
			const { manifest } = await readBackup(storage, second.key);
			const opened = await readWhole(
				undoEncodings(
					openBackup(storage, { key: second.key, manifest: manifest! }),
					decoderWith({ passphrase: 'x' }),
				),
			);
			assert.ok(data.equals(opened.bytes));
			await rm(join(folder, 'shop'), { recursive: true });
		});

		test('leaves everything as it was when the key is wrong, the backup pinned or damaged', async () => {
			const { artifact, bytes } = await encrypted();
			const { key } = await storeBackup(storage, artifact, { prefix: 'shop' });
			const encoding = await encryptionEncoding('age', { recipients: [next.recipient] });
			const files = await readdir(join(folder, 'shop'));
			const fails = async (identity: string, ...codes: string[]) => {
				await assert.rejects(
					reencryptBackup(storage, key, {
						decoder: decoderWith({ identities: [identity] }),
						encoding,
						now: NOW,
					}),
					(error) => {
						assertLifeboatError(error, ...codes);
						return true;
					},
				);
			};
			await fails(next.identity, 'WRONG_KEY');
			assert.deepEqual(await readdir(join(folder, 'shop')), files);
			await storage.put(pinKey(key), Readable.from(['{}']));
			await fails(old.identity, 'PINNED');
			await storage.delete(pinKey(key));
			const changed = Buffer.from(bytes);
			changed[bytes.length - 50]! ^= 1;
			await storage.put(key, Readable.from([changed]), { ifExists: 'replace' });
			await fails(old.identity, 'DAMAGED', 'CHECKSUM_MISMATCH');
			await storage.put(key, Readable.from([bytes.subarray(0, -1)]), { ifExists: 'replace' });
			await fails(old.identity, 'BACKUP_PROBLEM');
			assert.deepEqual(await readdir(join(folder, 'shop')), files);
		});
	});
});
