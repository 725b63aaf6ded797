import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';

import fc from 'fast-check';

import type { Artifact } from '../../../lib/artifact/artifact';
import { fileArtifact, storedArtifact } from '../../../lib/artifact/file-artifact';
import type { Manifest } from '../../../lib/artifact/manifest';
import { produceArtifact } from '../../../lib/artifact/produce';
import { applyEncoding, undoEncodings, type Decoder, type Encoding } from '../../../lib/artifact/transform';
import { compressionEncoding } from '../../../lib/compression/compression';
import { decoderWith } from '../../../lib/encryption/decoder';
import { createAgeIdentity, encryptionEncoding } from '../../../lib/encryption/encryption';
import { run } from '../encryption/age-command';
import { assertLifeboatError, sampleBytes } from '../encryption/helpers';
import { artifactOf, newBackup, readWhole } from './samples';
import { systemErrorCode } from '../../system-error-code';

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function failureOf(artifact: Artifact): Promise<unknown> {
	try {
		await readWhole(artifact);
	} catch (error) {
		return error;
	}
	return assert.fail('it did not fail');
}

describe('an artifact with steps applied', () => {
	const data = Buffer.concat([sampleBytes(200_000), Buffer.alloc(100_000)]);
	let folder: string;
	let encodings: Record<'gzip' | 'zstd' | 'age', Encoding>;
	let decoder: Decoder;

	before(async () => {
		folder = await mkdtemp(join(tmpdir(), 'lifeboat-artifact-'));
		const { identity, recipient } = await createAgeIdentity();
		await writeFile(join(folder, 'key'), `${identity}\n`, { mode: 0o600 });
		decoder = decoderWith({ identities: [identity] });
		encodings = {
			gzip: compressionEncoding('gzip'),
			zstd: compressionEncoding('zstd'),
			age: await encryptionEncoding('age', { recipients: [recipient] }),
		};
	});
	after(() => rm(folder, { recursive: true }));

	const stored = (manifest: Manifest, bytes: Buffer) =>
		storedArtifact(manifest, async () => Readable.from([bytes]));

	test('tells in its manifest what was done, and the size and hash of either end', async () => {
		const artifact = applyEncoding(applyEncoding(artifactOf(data), encodings.zstd), encodings.age);
		assert.equal(artifact.draft.fileName, 'files-20261121T020000Z.tar.zst.age');
		const { bytes, manifest } = await readWhole(artifact);
		assert.deepEqual(manifest.content, { size: data.length, sha256: sha256(data) });
		assert.deepEqual(manifest.stored, { size: bytes.length, sha256: sha256(bytes) });
		assert.deepEqual(
			manifest.transformations.map(({ type, format }) => [type, format]),
			[
				['compression', 'zstd'],
				['encryption', 'age'],
			],
		);
		assert.equal(manifest.completedAt, '2026-11-21T02:00:05.000Z');
	});

	test('comes back whole with any steps in any order, undone at once or one by one', async () => {
		const names = fc.array(fc.constantFrom('gzip', 'zstd', 'age'), { maxLength: 4 });
		await fc.assert(
			fc.asyncProperty(names, fc.uint8Array({ maxLength: 3000 }), async (steps, content) => {
				const plain = Buffer.from(content);
				const applied = steps.reduce(
					(artifact, step) => applyEncoding(artifact, encodings[step]),
					artifactOf(plain),
				);
				const { bytes, manifest } = await readWhole(applied);
				const atOnce = await readWhole(undoEncodings(stored(manifest, bytes), decoder));
				assert.ok(atOnce.bytes.equals(plain));
				assert.equal(atOnce.manifest.fileName, artifactOf(plain).draft.fileName);
				assert.deepEqual(atOnce.manifest.transformations, []);
				assert.deepEqual(atOnce.manifest.stored, manifest.content);
				let current: Artifact = stored(manifest, bytes);
				for (let left = steps.length; left > 0; left--) {
					let asked = 0;
					const undone = await readWhole(undoEncodings(current, decoder, () => asked++ === 0));
					assert.equal(undone.manifest.transformations.length, left - 1);
					current = stored(undone.manifest, undone.bytes);
				}
				assert.ok((await readWhole(current)).bytes.equals(plain));
				// Unread artifacts can be undone too: nothing of them is known but the draft.
				assert.ok((await readWhole(undoEncodings(applied, decoder))).bytes.equals(plain));
			}),
			{ numRuns: 40, seed: 7 },
		);
	});

	test('undoes only the last steps that are asked for', async () => {
		const artifact = applyEncoding(applyEncoding(artifactOf(data), encodings.gzip), encodings.age);
		const { manifest, bytes } = await readWhole(
			undoEncodings(artifact, decoder, ({ type }) => type === 'encryption'),
		);
		assert.equal(manifest.fileName, 'files-20261121T020000Z.tar.gz');
		assert.deepEqual(manifest.stored, { size: bytes.length, sha256: sha256(bytes) });
		assert.ok(data.equals(await run('gzip', ['-d', '-c'], bytes)));
		const none = undoEncodings(artifact, decoder, () => false);
		assert.equal(none, artifact);
	});

	test('fails when the stored bytes, or the content, are not those of the manifest', async () => {
		const { bytes, manifest } = await readWhole(applyEncoding(artifactOf(data), encodings.zstd));
		const changed = Buffer.from(bytes);
		changed[changed.length >> 1]! ^= 1;
		assertLifeboatError(await failureOf(stored(manifest, changed)), 'CHECKSUM_MISMATCH');
		assertLifeboatError(await failureOf(stored(manifest, bytes.subarray(0, -1))), 'CHECKSUM_MISMATCH');
		assertLifeboatError(
			await failureOf(stored(manifest, Buffer.concat([bytes, bytes]))),
			'CHECKSUM_MISMATCH',
		);
		// A whole file, but of other content: only the hash of the content tells.
		const other = await readWhole(applyEncoding(artifactOf(Buffer.concat([data, data])), encodings.zstd));
		const mixed = { ...manifest, stored: other.manifest.stored };
		assertLifeboatError(
			await failureOf(undoEncodings(stored(mixed, other.bytes), decoder)),
			'CHECKSUM_MISMATCH',
		);
		const shorter = await readWhole(applyEncoding(artifactOf(data.subarray(1)), encodings.zstd));
		const mixedToo = { ...manifest, stored: shorter.manifest.stored };
		assertLifeboatError(
			await failureOf(undoEncodings(stored(mixedToo, shorter.bytes), decoder)),
			'CHECKSUM_MISMATCH',
		);
	});

	test('has no manifest before its end was reached, nor when its source was not whole', async () => {
		const opened = await applyEncoding(artifactOf(data), encodings.zstd).open();
		await assert.rejects(opened.finish(), { code: 'INCOMPLETE' });
		opened.stream.destroy();
		const cut = produceArtifact(newBackup, async () => ({
			stream: Readable.from([data], { objectMode: false }),
			finish: () => Promise.reject(new Error('the dump was not whole')),
		}));
		assert.match(String(await failureOf(applyEncoding(cut, encodings.zstd))), /not whole/);
	});

	test('passes a failing source on as it is, through every step', async () => {
		const failure = new Error('connection lost');
		const broken = produceArtifact(newBackup, async () => ({
			stream: Readable.from(
				(async function* () {
					yield data;
					throw failure;
				})(),
				{ objectMode: false },
			),
			finish: async () => ({}),
		}));
		const artifact = applyEncoding(applyEncoding(broken, encodings.gzip), encodings.age);
		assert.equal(await failureOf(artifact), failure);
	});

	test('stops at a signal, and stops its source', async () => {
		const endless = new Readable({
			read() {
				this.push(Buffer.alloc(10_000));
			},
		});
		const artifact = produceArtifact(newBackup, async () => ({ stream: endless, finish: async () => ({}) }));
		const stop = new AbortController();
		const opened = await applyEncoding(applyEncoding(artifact, encodings.zstd), encodings.age).open(
			stop.signal,
		);
		setTimeout(() => stop.abort(), 50);
		opened.stream.resume();
		await assert.rejects(buffer(opened.stream), { name: 'AbortError' });
		assert.ok(endless.destroyed);
		await assert.rejects(opened.finish(), { code: 'INCOMPLETE' });
	});

	test('files: found, missing, a folder', async () => {
		const path = join(folder, 'backup.tar');
		const { manifest } = await readWhole(artifactOf(data));
		await writeFile(path, data);
		assert.ok((await readWhole(fileArtifact(manifest, path))).bytes.equals(data));
		for (const wrong of [join(folder, 'none.tar'), folder]) {
			const error = await failureOf(fileArtifact(manifest, wrong));
			assertLifeboatError(error, 'NOT_FOUND', 'READ_FAILED');
			assert.ok(error.message.includes(wrong) && !systemErrorCode.test(error.message), error.message);
		}
	});

	test('the commands in the manifest restore it, on a machine with standard tools', async () => {
		const source = join(folder, "it's a source");
		await run('mkdir', [source]);
		await writeFile(join(source, 'file.txt'), 'content of a file');
		const tar = await run('tar', ['-C', source, '-cf', '-', 'file.txt']);
		for (const [index, steps] of (
			[[], ['gzip'], ['zstd'], ['age'], ['gzip', 'age'], ['zstd', 'age']] as const
		).entries()) {
			const name = `it's ${index}`;
			const artifact = steps.reduce(
				(of, step) => applyEncoding(of, encodings[step]),
				artifactOf(tar, { name }),
			);
			// A name that a shell could misread.
			const { bytes, manifest } = await readWhole({ ...artifact, draft: artifact.draft });
			await writeFile(join(folder, manifest.fileName), bytes);
			await writeFile(
				join(folder, `${manifest.fileName}.sha256`),
				`${manifest.stored.sha256}  ${manifest.fileName}\n`,
			);
			const target = join(folder, `target ${index}`);
			await run('mkdir', [target]);
			const script = [`cd '${folder}'`, ...manifest.restoreCommands]
				.join('\n')
				.replaceAll('<identity file>', 'key')
				.replaceAll('<target folder>', `'${target}'`);
			assert.ok(!/[<][a-z]/.test(script), script);
			await run('bash', ['-e', '-o', 'pipefail'], script);
			assert.equal((await stat(join(target, 'file.txt'))).size, 17, steps.join());
		}
	});
});

test('file names made of any name are plain, sort by time and are never empty', async () => {
	fc.assert(
		fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (name) => {
			const { fileName } = artifactOf(Buffer.alloc(0), { name: name || 'x' }).draft;
			assert.match(fileName, /^[\p{L}\p{N}_][\p{L}\p{N}._-]*-20261121T020000Z\.tar$/u);
		}),
		{ seed: 7 },
	);
});
