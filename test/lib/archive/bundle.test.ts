import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';

import { bundleEntry, packBundle } from '../../../lib/archive/bundle';
import { packFiles } from '../../../lib/archive/pack';
import type { Artifact } from '../../../lib/artifact/artifact';
import { parseManifest, type Manifest } from '../../../lib/artifact/manifest';
import { applyEncoding, undoEncodings } from '../../../lib/artifact/transform';
import { compressionEncoding, decompressor } from '../../../lib/compression/compression';
import { runCommand } from '../../servers/process';

import { collect, dumpOf, failsWith, inFolder, known, now, sampleBytes, withBytes } from './helpers';
import { end, rawTar } from './raw-tar';

const decoder = async (transformation: Manifest['transformations'][number]) => {
	assert.equal(transformation.type, 'compression');
	return decompressor(transformation);
};

async function content(artifact: Artifact): Promise<Buffer> {
	const opened = await artifact.open();
	const bytes = await collect(opened.stream);
	await opened.finish();
	return bytes;
}

/** A dump, compressed, and two backups of files whose names are the same. */
async function parts(folder: string) {
	await mkdir(join(folder, 'in'));
	await writeFile(join(folder, 'in/a'), sampleBytes(700_000));
	const files = await known(packFiles({ name: 'files', now, paths: [join(folder, 'in')] }));
	const dump = await known(applyEncoding(await dumpOf('SELECT 1;\n'), compressionEncoding('zstd')));
	return [dump, files, files] as const;
}

describe('a bundle', () => {
	test('opens with tar: its manifest first, then each backup under a name of its own', () =>
		inFolder(async (folder) => {
			const artifacts = await parts(folder);
			const bundle = await known(packBundle({ name: 'all', now, artifacts }));
			await writeFile(join(folder, 'all.tar'), bundle.bytes);
			await mkdir(join(folder, 'out'));
			await runCommand('tar', ['-xf', join(folder, 'all.tar'), '-C', join(folder, 'out')]);
			const listed = (await runCommand('tar', ['-tf', join(folder, 'all.tar')])).trim().split('\n');
			assert.deepEqual(listed, [
				'manifest.json',
				'shop-20261121T020000Z.sql.zst',
				'files-20261121T020000Z.tar',
				'files-20261121T020000Z-2.tar',
			]);
			for (const [index, name] of listed.slice(1).entries()) {
				assert.deepEqual(await readFile(join(folder, 'out', name)), artifacts[index]!.bytes);
			}
			const inner = JSON.parse(await readFile(join(folder, 'out/manifest.json'), 'utf8')) as Manifest;
			assert.equal(inner.id, bundle.manifest.id);
			for (const [index, { path, manifest }] of inner.entries!.entries()) {
				assert.equal(path, listed[index + 1]);
				assert.deepEqual(parseManifest(manifest, 'entry'), artifacts[index]!.manifest);
			}
			assert.deepEqual(parseManifest(JSON.parse(JSON.stringify(bundle.manifest)), 'bundle'), bundle.manifest);
		}));

	test('gives each backup back, compressed or not', () =>
		inFolder(async (folder) => {
			const artifacts = await parts(folder);
			const packed = await known(
				applyEncoding(packBundle({ name: 'all', now, artifacts }), compressionEncoding('gzip')),
			);
			const bundle = undoEncodings(packed, decoder);
			for (const [index, entry] of packed.manifest.entries!.entries()) {
				const artifact = bundleEntry(bundle, ({ path }) => path === entry.path);
				assert.deepEqual(artifact.manifest, artifacts[index]!.manifest);
				assert.deepEqual(await content(artifact), artifacts[index]!.bytes);
			}
			const dump = bundleEntry(bundle, ({ manifest }) => manifest.kind === 'database');
			assert.equal((await content(undoEncodings(dump, decoder))).toString(), 'SELECT 1;\n');
		}));

	test('of nothing, or of bundles, is refused', async () => {
		assert.throws(() => packBundle({ name: 'all', now, artifacts: [] }), failsWith('NOTHING_TO_ARCHIVE'));
		const bundle = await known(packBundle({ name: 'all', now, artifacts: [await dumpOf('x')] }));
		assert.throws(
			() => packBundle({ name: 'more', now, artifacts: [bundle] }),
			failsWith('INVALID_OPTION', /is a bundle itself/),
		);
	});

	test('may hold a backup that is named as its own manifest', async () => {
		const dump = await dumpOf('x');
		const odd = withBytes({ ...dump.manifest, fileName: 'Manifest.JSON' }, dump.bytes);
		const bundle = await known(packBundle({ name: 'all', now, artifacts: [odd] }));
		assert.deepEqual(await content(bundleEntry(bundle, () => true)), dump.bytes);
		assert.equal(bundle.manifest.entries![0]!.path, 'Manifest-2.JSON');
	});
});

describe('a backup that is not as its manifest says never gets into a bundle:', () => {
	const cases: [string, (bytes: Buffer) => Buffer][] = [
		['too short', (bytes) => bytes.subarray(1)],
		['too long', (bytes) => Buffer.concat([bytes, Buffer.alloc(5000)])],
		['of other bytes', (bytes) => Buffer.from(bytes.map((byte) => byte ^ 1))],
		['empty', () => Buffer.alloc(0)],
	];
	for (const [what, change] of cases) {
		test(what, async () => {
			const dump = await dumpOf('SELECT 1;\n'.repeat(1000));
			const artifacts = [withBytes(dump.manifest, change(dump.bytes)), dump];
			await assert.rejects(
				known(packBundle({ name: 'all', now, artifacts })),
				failsWith('CHECKSUM_MISMATCH'),
			);
		});

		test(`${what}, and nothing else looks`, async () => {
			const dump = await dumpOf('SELECT 1;\n'.repeat(1000));
			const unchecked = {
				...dump,
				open: async () => ({
					stream: Readable.from([change(dump.bytes)]),
					finish: async () => dump.manifest,
				}),
			};
			const packed = known(packBundle({ name: 'all', now, artifacts: [unchecked, dump] }));
			if (what === 'of other bytes') await packed;
			else await assert.rejects(packed, failsWith('CHECKSUM_MISMATCH', /not as long as/));
		});
	}
});

test('a backup whose end tells that it is not whole never gets into a bundle', async () => {
	const dump = await dumpOf('SELECT 1;\n');
	const doubtful = {
		...dump,
		open: async () => ({
			...(await dump.open()),
			finish: async () => Promise.reject(new Error('the server never said that it is whole')),
		}),
	};
	await assert.rejects(known(packBundle({ name: 'all', now, artifacts: [doubtful] })), /never said/);
});

describe('an entry', () => {
	async function bundleOf(...texts: string[]) {
		const artifacts = await Promise.all(texts.map((text, index) => dumpOf(text, { name: `part${index}` })));
		return await known(packBundle({ name: 'all', now, artifacts }));
	}

	test('ends only after the rest of the bundle has been read and found right', async () => {
		const bundle = await bundleOf('first '.repeat(1000), 'second '.repeat(1000));
		const broken = Buffer.from(bundle.bytes);
		broken[broken.length - 2000]! ^= 1;
		const first = bundleEntry(withBytes(bundle.manifest, broken), () => true);
		await assert.rejects(content(first), failsWith('CHECKSUM_MISMATCH'));
		// Where nothing compares the bundle as a whole, its own end still must be there.
		const stream = () => Readable.from([bundle.bytes.subarray(0, -1024)]);
		const cut = {
			draft: bundle.draft,
			open: async () => ({ stream: stream(), finish: async () => bundle.manifest }),
		};
		await assert.rejects(content(bundleEntry(cut, () => true)), failsWith('INCOMPLETE'));
	});

	test('is compared with its own manifest, whatever the bundle says', async () => {
		const [bundle, other] = [await bundleOf('right'), await bundleOf('wrong')];
		const mixed = { ...other, draft: bundle.draft };
		await assert.rejects(content(bundleEntry(mixed, () => true)), failsWith('CHECKSUM_MISMATCH'));
	});

	test('that the manifest names but the bundle lacks, or has twice, is damage', async () => {
		const bundle = await bundleOf('x');
		const { path } = bundle.manifest.entries![0]!;
		for (const bytes of [
			rawTar({ name: 'other', body: 'x' }),
			rawTar({ name: path, body: 'x' }, { name: path, body: 'x' }),
			rawTar({ name: path, type: '2', linkName: '/etc/passwd' }),
			end,
		]) {
			const fake = {
				draft: bundle.draft,
				open: async () => ({ stream: Readable.from([bytes]), finish: async () => bundle.manifest }),
			};
			await assert.rejects(content(bundleEntry(fake, () => true)), failsWith('DAMAGED', /does not hold/));
		}
	});

	test('that nobody packed is not found, and what there is gets named', async () => {
		const bundle = await bundleOf('x');
		assert.throws(
			() => bundleEntry(bundle, () => false),
			(error: Error & { hint?: string }) => {
				assert.match(error.hint!, /part0-20261121T020000Z\.sql/);
				return failsWith('NOT_FOUND')(error);
			},
		);
	});

	test('can not be taken from what is no bundle, or is still compressed', async () => {
		const dump = await dumpOf('x');
		assert.throws(() => bundleEntry(dump, () => true), failsWith('INVALID_OPTION'));
		const packed = await known(applyEncoding(await bundleOf('x'), compressionEncoding('gzip')));
		assert.throws(() => bundleEntry(packed, () => true), failsWith('INVALID_OPTION', /not an open bundle/));
	});

	test('that is given up, or aborted, ends the reading of the bundle', async () => {
		const bundle = await bundleOf('first '.repeat(100_000), 'second '.repeat(100_000));
		for (const how of ['abort', 'destroy'] as const) {
			const outer: Readable[] = [];
			const watched: Artifact = {
				draft: bundle.draft,
				async open(signal) {
					const opened = await bundle.open(signal);
					outer.push(opened.stream);
					return opened;
				},
			};
			const controller = new AbortController();
			const opened = await bundleEntry(watched, () => true).open(controller.signal);
			await opened.stream[Symbol.asyncIterator]().next();
			if (how === 'abort') controller.abort();
			else opened.stream.destroy();
			for (let i = 0; i < 100 && !outer[0]!.destroyed; i++)
				await new Promise((resolve) => setTimeout(resolve, 10));
			assert.equal(outer[0]!.destroyed, true);
		}
	});
});
