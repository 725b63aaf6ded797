import assert from 'node:assert/strict';
import { link, mkdir, readFile, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import fc from 'fast-check';

import { extractFiles } from '../../../lib/archive/extract';
import type { EntryHeader } from '../../../lib/archive/tar-header';
import { readTar } from '../../../lib/archive/tar-reader';
import { runCommand } from '../../servers/process';

import { assertSameTree, collect, describeTree, failsWith, inFolder, sampleBytes, streamOf } from './helpers';
import { end, paxRecord, rawEntry, rawTar } from './raw-tar';

async function read(bytes: Buffer, chunkSize?: number): Promise<(EntryHeader & { body: string })[]> {
	const entries: (EntryHeader & { body: string })[] = [];
	for await (const { header, body } of readTar(streamOf(bytes, chunkSize))) {
		entries.push({ ...header, body: (await collect(body)).toString('latin1') });
	}
	return entries;
}

/** A folder with all that the formats differ in. Names of 101 bytes and more need what ustar doesn't have. */
async function makeTree(folder: string, longest: number): Promise<void> {
	const deep = join(folder, 'in', 'n'.repeat(60), 'm'.repeat(60));
	await mkdir(deep, { recursive: true });
	await mkdir(join(folder, 'in', 'empty'));
	await writeFile(join(folder, 'in', 'plain'), 'plain');
	await writeFile(join(folder, 'in', 'void'), '');
	await writeFile(join(folder, 'in', 'Grüße, 世界 🚀'), sampleBytes(1000));
	await writeFile(join(deep, 'l'.repeat(longest)), sampleBytes(512));
	await writeFile(join(folder, 'in', 'large'), sampleBytes(300_000));
	await link(join(folder, 'in', 'plain'), join(folder, 'in', 'zz-second-name'));
	await symlink('plain', join(folder, 'in', 'short-link'));
	await symlink(`${'d'.repeat(longest)}/x`, join(folder, 'in', 'long-link'));
	for (const name of ['plain', 'void', 'large']) await utimes(join(folder, 'in', name), 1.7e9, 1.7e9);
}

const writers: [string, string, string[], number][] = [
	['GNU tar, gnu', 'tar', ['--format=gnu'], 200],
	['GNU tar, oldgnu', 'tar', ['--format=oldgnu'], 200],
	['GNU tar, posix', 'tar', ['--format=posix'], 200],
	['GNU tar, ustar', 'tar', ['--format=ustar'], 80],
	['GNU tar, with a label', 'tar', ['--format=gnu', '--label=backup'], 80],
	['bsdtar, pax', 'bsdtar', ['--format=pax'], 200],
	['bsdtar, ustar', 'bsdtar', ['--format=ustar'], 80],
	['bsdtar, gnutar', 'bsdtar', ['--format=gnutar'], 200],
];

for (const [name, program, args, longest] of writers) {
	test(`what ${name} writes is unpacked as it was`, () =>
		inFolder(async (folder) => {
			await makeTree(folder, longest);
			const archive = join(folder, 'a.tar');
			await runCommand(program, [...args, '-cf', archive, '-C', folder, 'in']);
			const bytes = await readFile(archive);
			await extractFiles(streamOf(bytes), join(folder, 'out'));
			// Only the pax format keeps fractions of seconds.
			const precision = /posix|pax/.test(args[0]!) ? 1000n : 1_000_000_000n;
			const after = await describeTree(join(folder, 'out', 'in'));
			assertSameTree(after, await describeTree(join(folder, 'in')), precision);
			assert.equal(after['plain']!.time, 1_700_000_000n * 1_000_000_000n);
		}));
}

test('what GNU tar writes in the seventh edition format is read', () =>
	inFolder(async (folder) => {
		await mkdir(join(folder, 'in'));
		await writeFile(join(folder, 'in', 'a'), 'text');
		await runCommand('tar', ['--format=v7', '-cf', join(folder, 'a.tar'), '-C', folder, 'in']);

		const entries = await read(await readFile(join(folder, 'a.tar')));
		assert.deepEqual(
			entries.map(({ name, type, body }) => [name, type, body]),
			[
				['in/', 'folder', ''],
				['in/a', 'file', 'text'],
			],
		);
	}));

for (const args of [['--format=gnu'], ['--format=posix'], ['--format=posix', '--sparse-version=0.0']]) {
	test(`a sparse file of GNU tar (${args.join(' ')}) is refused by name`, () =>
		inFolder(async (folder) => {
			await writeFile(join(folder, 'holes'), 'x');
			await truncate(join(folder, 'holes'), 10_000_000);
			await runCommand('tar', [...args, '-S', '-cf', join(folder, 'a.tar'), '-C', folder, 'holes']);

			await assert.rejects(
				read(await readFile(join(folder, 'a.tar'))),
				failsWith('UNSUPPORTED_FORMAT', /sparse/),
			);
		}));
}

const sample = rawTar(
	{ name: 'a/', type: '5', mode: 0o755 },
	{ name: 'PaxHeader/a', type: 'x', body: paxRecord('path', 'a/ü\nb') + paxRecord('mtime', '1700000000.25') },
	{ name: 'x', body: sampleBytes(700) },
	{ name: '././@LongLink', type: 'L', body: `a/${'l'.repeat(150)}\0` },
	{ name: 'x', body: Buffer.alloc(1024) },
	{ name: 'a/link', type: '2', linkName: 'b' },
);

describe('a whole archive', () => {
	test('is read with all its headers say', async () => {
		const entries = await read(sample);
		assert.deepEqual(
			entries.map(({ name, type, size, mtime, linkName }) => ({ name, type, size, mtime, linkName })),
			[
				{ name: 'a/', type: 'folder', size: 0, mtime: 1.7e9, linkName: '' },
				{ name: 'a/ü\nb', type: 'file', size: 700, mtime: 1700000000.25, linkName: '' },
				{ name: `a/${'l'.repeat(150)}`, type: 'file', size: 1024, mtime: 1.7e9, linkName: '' },
				{ name: 'a/link', type: 'symlink', size: 0, mtime: 1.7e9, linkName: 'b' },
			],
		);
		assert.equal(entries[1]!.body, sampleBytes(700).toString('latin1'));
	});

	test('is the same however it is cut into chunks', async () => {
		const whole = await read(sample);
		await fc.assert(
			fc.asyncProperty(fc.integer({ min: 1, max: 2000 }), async (size) => {
				assert.deepEqual(await read(sample, size), whole);
			}),
			{ numRuns: 50 },
		);
	});

	test('may be padded with zeros, as records of tapes are', async () => {
		assert.equal((await read(Buffer.concat([sample, Buffer.alloc(9000)]))).length, 4);
	});

	test('is read past bodies that nobody looks at', async () => {
		const names: string[] = [];
		for await (const { header, body } of readTar(streamOf(sample, 100))) {
			names.push(header.name);
			if (names.length === 2) await body[Symbol.asyncIterator]().next();
		}
		assert.equal(names.length, 4);
	});
});

describe('an archive that is not whole', () => {
	test('is noticed wherever it is cut', async () => {
		for (let length = 0; length < sample.length; length += 64) {
			await assert.rejects(read(sample.subarray(0, length)), failsWith('INCOMPLETE'), `cut at ${length}`);
		}
	});

	test('is noticed when a block of an entry comes twice', async () => {
		for (let start = 512; start < sample.length - 1536; start += 512) {
			const twice = Buffer.concat([sample.subarray(0, start + 512), sample.subarray(start)]);
			await assert.rejects(read(twice), `block at ${start}`);
		}
	});

	test('is noticed when any bit of a header is flipped', async () => {
		const whole = await read(sample);
		for (let block = 0; block < sample.length - 1024; block += 512) {
			if (sample.toString('latin1', block + 257, block + 262) !== 'ustar') continue;
			for (let bit = 0; bit < 512 * 8; bit += block === 0 ? 1 : 7) {
				const broken = Buffer.from(sample);
				broken[block + (bit >> 3)]! ^= 1 << (bit & 7);
				const isChecksum = bit >> 3 >= 148 && bit >> 3 < 156;
				if (!isChecksum)
					await assert.rejects(read(broken), failsWith('DAMAGED'), `block ${block} bit ${bit}`);
				else {
					// A leading zero may become a space: the same number.
					const found = await read(broken).catch(() => whole);
					assert.deepEqual(found, whole);
				}
			}
		}
	});

	test('is not taken for whole because data looks like its end', async () => {
		// The file's last kilobyte is zero, as the end of an archive is.
		await assert.rejects(
			read(rawTar({ name: 'a', body: Buffer.alloc(1024) }).subarray(0, 1536)),
			failsWith('INCOMPLETE'),
		);
		await assert.rejects(read(rawTar({ name: 'a' }).subarray(0, 1024)), failsWith('INCOMPLETE'));
	});

	test('passes on what its source fails with', async () => {
		const source = streamOf(sample, 512);
		setImmediate(() => source.destroy(new Error('the line is dead')));
		await assert.rejects(async () => {
			for await (const { body } of readTar(source)) {
				await new Promise(setImmediate);
				await collect(body);
			}
		}, /the line is dead/);
	});

	test('has its source destroyed when the reader stops early', async () => {
		const source = streamOf(sample, 512);
		const entries = readTar(source);
		await entries.next();
		await entries.return();
		assert.equal(source.destroyed, true);
	});
});

describe('an archive that can be read in two ways is refused:', () => {
	const refused: [string, string, Buffer][] = [
		['something after its end', 'DAMAGED', Buffer.concat([sample, rawEntry({ name: 'hidden' })])],
		[
			'entries after one zero block',
			'DAMAGED',
			Buffer.concat([sample.subarray(0, -512), rawEntry({ name: 'hidden' }), end]),
		],
		['a folder with a size', 'DAMAGED', rawTar({ name: 'a', type: '5', body: rawEntry({ name: 'hidden' }) })],
		[
			'a link with a size',
			'DAMAGED',
			rawTar({ name: 'a', type: '2', linkName: 'b', size: 512, body: rawEntry({ name: 'hidden' }) }),
		],
		['a hard link with a size', 'DAMAGED', rawTar({ name: 'a', type: '1', linkName: 'b', body: 'x' })],
		['two pax headers', 'DAMAGED', rawTar(pax('path', 'a'), pax('path', 'b'), { name: 'x' })],
		[
			'a pax and a GNU header',
			'DAMAGED',
			rawTar(pax('path', 'a'), { name: 'L', type: 'L', body: 'b' }, { name: 'x' }),
		],
		[
			'a GNU and a pax header',
			'DAMAGED',
			rawTar({ name: 'L', type: 'L', body: 'b' }, pax('path', 'a'), { name: 'x' }),
		],
		[
			'two GNU names',
			'DAMAGED',
			rawTar({ name: 'L', type: 'L', body: 'b' }, { name: 'L', type: 'L', body: 'c' }, { name: 'x' }),
		],
		// GHSA-class: the size of a pax header applied to the next header instead of the next file.
		['a pax header with nothing behind it', 'DAMAGED', rawTar(pax('size', '512'))],
		[
			'a pax header that sets all names',
			'UNSUPPORTED_FORMAT',
			rawTar({ ...pax('path', 'a'), type: 'g' }, { name: 'x' }),
		],
		[
			'a pax header that sets all sizes',
			'UNSUPPORTED_FORMAT',
			rawTar({ ...pax('size', '0'), type: 'g' }, { name: 'x' }),
		],
		[
			'pax records with a wrong length',
			'DAMAGED',
			rawTar({ name: 'p', type: 'x', body: '30 path=a\n' }, { name: 'x' }),
		],
		[
			'pax records with a length of zero',
			'DAMAGED',
			rawTar({ name: 'p', type: 'x', body: '0 path=a\n' }, { name: 'x' }),
		],
		['pax records without a key', 'DAMAGED', rawTar({ name: 'p', type: 'x', body: '5 =a\n' }, { name: 'x' })],
		[
			'pax records with something behind',
			'DAMAGED',
			rawTar({ name: 'p', type: 'x', body: `${paxRecord('path', 'a')}x` }, { name: 'x' }),
		],
		['a negative pax size', 'DAMAGED', rawTar(pax('size', '-1'), { name: 'x' })],
		['a pax size that is no number', 'DAMAGED', rawTar(pax('size', '1e3'), { name: 'x' })],
		['a pax size beyond all disks', 'DAMAGED', rawTar(pax('size', '9999999999999999'), { name: 'x' })],
		['a pax time that is no number', 'DAMAGED', rawTar(pax('mtime', 'now'), { name: 'x' })],
		['a huge pax header', 'DAMAGED', rawTar({ name: 'p', type: 'x', size: 2 ** 30 })],
		[
			'global headers that are huge together',
			'DAMAGED',
			rawTar(...Array.from({ length: 3 }, (_, n) => ({ ...pax(`k${n}`, 'x'.repeat(400_000)), type: 'g' })), {
				name: 'x',
			}),
		],
		['a size that is no number', 'DAMAGED', rawTar({ name: 'x', size: '0000000001z\0' })],
		[
			'a negative size',
			'DAMAGED',
			rawTar({ name: 'x', size: '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff' }),
		],
		['an entry without a name', 'DAMAGED', rawTar({ name: '' })],
		['a link without a target', 'DAMAGED', rawTar({ name: 'a', type: '2' })],
		['an unknown type', 'UNSUPPORTED_FORMAT', rawTar({ name: 'a', type: 'Z' })],
		['a part of a file', 'UNSUPPORTED_FORMAT', rawTar({ name: 'a', type: 'M' })],
		['a name that is not UTF-8', 'UNSUPPORTED_FORMAT', rawTar({ name: Buffer.from('caf\xe9', 'latin1') })],
		['names in no known encoding', 'UNSUPPORTED_FORMAT', rawTar(pax('hdrcharset', 'BINARY'), { name: 'x' })],
	];
	for (const [what, code, bytes] of refused) {
		test(what, async () => assert.rejects(read(bytes), failsWith(code)));
	}
});

test('a pax header overrides what the header itself can not hold', async () => {
	const [entry] = await read(
		rawTar(
			{
				name: 'p',
				type: 'x',
				body: ['size', 'uid', 'gid', 'linkpath']
					.map((key, i) => paxRecord(key, ['3', '4000000', '5000000', 'b'][i]!))
					.join(''),
			},
			// Another reader that ignores the pax size would go astray here; the body is three bytes.
			Buffer.concat([rawEntry({ name: 'x', size: 0 }), Buffer.from('abc'), Buffer.alloc(509)]),
		),
	);
	assert.deepEqual([entry!.size, entry!.uid, entry!.gid, entry!.body], [3, 4_000_000, 5_000_000, 'abc']);
});

function pax(key: string, value: string) {
	return { name: 'PaxHeader/x', type: 'x', body: paxRecord(key, value) };
}
