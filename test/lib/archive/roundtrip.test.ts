import assert from 'node:assert/strict';
import { chmod, chown, link, lutimes, mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

import fc from 'fast-check';

import { extractFiles } from '../../../lib/archive/extract';

import { assertSameTree, describeTree, inFolder, pack, sampleBytes, streamOf } from './helpers';

const isRoot = process.getuid!() === 0;

/** Any characters that Linux takes, long ones and those that tar formats stumble over among them. */
const name = fc
	.oneof(
		fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
		fc.constantFrom(
			'a',
			'b',
			'A',
			'...',
			'..a',
			'-rf',
			'a b',
			' ',
			'\\',
			'C:',
			'\n',
			'"',
			'%00',
			'ü',
			'ü',
			'e\u0301',
			'\u2028',
		),
		fc.integer({ min: 90, max: 255 }).map((length) => 'n'.repeat(length)),
	)
	.filter((text) => !text.includes('/') && !text.includes('\0') && text !== '.' && text !== '..')
	.filter((text) => Buffer.byteLength(text) <= 255 && !text.startsWith('.lifeboat-'));

const path = fc.array(name, { minLength: 1, maxLength: 4 });

const attributes = fc.record({
	// The owner's read bit stays: an ordinary user could not pack what it may not read.
	mode: fc.integer({ min: 0, max: 0o777 }),
	time: fc.oneof(
		fc.integer({ min: -(2 ** 31), max: 2 ** 33 }),
		fc.double({ min: 0, max: 2 ** 33, noNaN: true }),
	),
	owner: fc.integer({ min: 0, max: 2 ** 31 - 2 }),
});

const entry = fc.oneof(
	fc.record({
		kind: fc.constant('file' as const),
		path,
		attributes,
		size: fc.oneof(
			fc.constantFrom(0, 1, 511, 512, 513, 1024, 65_536, 262_144, 1_048_576, 1_048_577),
			fc.nat(5000),
		),
	}),
	fc.record({ kind: fc.constant('folder' as const), path, attributes }),
	fc.record({ kind: fc.constant('symlink' as const), path, attributes, to: path }),
	fc.record({ kind: fc.constant('hardlink' as const), path, index: fc.nat() }),
);

type Entry = typeof entry extends fc.Arbitrary<infer T> ? T : never;

async function build(root: string, entries: readonly Entry[]): Promise<void> {
	const files: string[] = [];
	const folders: [string, Entry & { kind: 'folder' }][] = [];
	for (const one of entries) {
		const target = join(root, ...one.path);
		try {
			await mkdir(dirname(target), { recursive: true });
			if (one.kind === 'folder') await mkdir(target);
			else if (one.kind === 'symlink') await symlink(one.to.join('/'), target);
			else if (one.kind === 'hardlink') {
				if (files.length === 0) continue;
				await link(files[one.index % files.length]!, target);
			} else await writeFile(target, sampleBytes(one.size, target), { flag: 'wx' });
		} catch (error) {
			// Two of the same name, or a file where another has a folder.
			if (/EEXIST|ENOTDIR|EISDIR|ELOOP|ENOENT/.test(String(error))) continue;
			throw error;
		}
		if (one.kind === 'file') files.push(target);
		if (one.kind === 'folder') folders.push([target, one]);
		else if (one.kind !== 'hardlink') {
			const { mode, time, owner } = one.attributes;
			if (isRoot && one.kind === 'file') await chown(target, owner, owner);
			if (one.kind === 'file') await chmod(target, mode | 0o400);
			await lutimes(target, time, time);
		}
	}
	for (const [target, { attributes: of }] of folders.reverse()) {
		if (isRoot) await chown(target, of.owner, of.owner);
		await chmod(target, of.mode | 0o500);
		await utimes(target, of.time, of.time);
	}
}

test('any tree comes back as it was', () =>
	fc.assert(
		fc.asyncProperty(
			fc.array(entry, { minLength: 1, maxLength: 25 }),
			fc.integer({ min: 1, max: 100_000 }),
			(entries, chunkSize) =>
				inFolder(async (folder) => {
					const root = join(folder, 'in');
					await mkdir(root);
					await build(root, entries);
					const { bytes, source } = await pack({ paths: [root], allowEmpty: true });
					const report = await extractFiles(streamOf(bytes, chunkSize), join(folder, 'out'), {
						outsideLinks: 'keep',
					});
					const before = await describeTree(root);
					assertSameTree(await describeTree(join(folder, 'out', 'in')), before);
					assert.deepEqual(report.skipped, []);
					// The root folder is one more entry than what lies in it.
					const { files, folders, links } = report;
					assert.equal(files + folders + links, Object.keys(before).length + 1);
					assert.deepEqual([source.fileCount, source.folderCount, source.linkCount], [files, folders, links]);
					// Packed again it is the same archive.
					const again = await pack({ paths: [join(folder, 'out', 'in')], allowEmpty: true });
					assert.ok(again.bytes.length === bytes.length);
				}),
		),
		{ numRuns: 20 },
	));
