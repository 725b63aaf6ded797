/**
 * Archives made to do harm: a test for each class of advisory on tar libraries (node-tar: CVE-2021-32803, -32804, -37701, -37712, -37713,
 * CVE-2024-28863, and those of 2026 on hard links, races by folded names and confused sizes; tar-fs: CVE-2024-12905, CVE-2025-48387, -59343).
 * Each is unpacked beside a file that must not change, in a folder in which nothing may appear.
 */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { extractFiles, type ExtractOptions } from '../../../lib/archive/extract';
import { LifeboatError } from '../../../lib/errors';

import { describeTree, failsWith, inFolder, streamOf } from './helpers';
import { paxRecord, rawTar, type RawEntry } from './raw-tar';

interface Attempt {
	what: string;
	entries: (outside: string) => (RawEntry | Buffer)[];
	code: string;
}

const evil = { body: 'overwritten' };

const attempts: Attempt[] = [
	{
		what: 'an absolute name',
		entries: (outside) => [{ name: `${outside}/victim`, ...evil }],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'an absolute name behind more slashes',
		entries: (outside) => [{ name: `//${outside}/victim`, ...evil }],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'an absolute name in a pax header',
		entries: (outside) => [pax('path', `${outside}/victim`), { name: 'x', ...evil }],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'an absolute name in a GNU header',
		entries: (outside) => [gnu('L', `${outside}/victim`), { name: 'x', ...evil }],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'an absolute name by way of the prefix',
		entries: (outside) => [{ prefix: outside, name: 'victim', ...evil }],
		code: 'UNSAFE_ENTRY',
	},
	{ what: '.. at the start', entries: () => [{ name: '../outside/victim', ...evil }], code: 'UNSAFE_ENTRY' },
	{
		what: '.. in the middle',
		entries: () => [
			{ name: 'a/', type: '5' },
			{ name: 'a/../../outside/victim', ...evil },
		],
		code: 'UNSAFE_ENTRY',
	},
	{ what: '.. that stays inside', entries: () => [{ name: 'a/../b', ...evil }], code: 'UNSAFE_ENTRY' },
	{
		what: '.. behind dots and slashes',
		entries: () => [{ name: './/.././outside/victim', ...evil }],
		code: 'UNSAFE_ENTRY',
	},
	{ what: '.. of a folder', entries: () => [{ name: '../outside/new/', type: '5' }], code: 'UNSAFE_ENTRY' },
	{
		what: '.. of a link',
		entries: () => [{ name: '../outside/new', type: '2', linkName: 'x' }],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: '.. of a hard link',
		entries: () => [
			{ name: 'a', body: 'x' },
			{ name: '../outside/new', type: '1', linkName: 'a' },
		],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a name with a zero byte',
		entries: () => [pax('path', 'a\0/../../outside/victim'), { name: 'x', ...evil }],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a link out, absolute',
		entries: (outside) => [{ name: 'l', type: '2', linkName: outside }],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a link out, relative',
		entries: () => [{ name: 'l', type: '2', linkName: '../outside' }],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a link to the folder above',
		entries: () => [{ name: 'l', type: '2', linkName: '..' }],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a link out, in a pax header',
		entries: (outside) => [pax('linkpath', outside), { name: 'l', type: '2', linkName: 'x' }],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a link that leads out by way of another link',
		entries: () => [
			{ name: 'a/b/c/up', type: '2', linkName: '../../..' },
			{ name: 'l', type: '2', linkName: 'a/b/c/up/../outside' },
		],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a link with a zero byte',
		entries: () => [pax('linkpath', 'a\0b'), { name: 'l', type: '2', linkName: 'x' }],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a hard link out, absolute',
		entries: (outside) => [{ name: 'l', type: '1', linkName: `${outside}/victim` }],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a hard link out, relative',
		entries: () => [{ name: 'l', type: '1', linkName: '../outside/victim' }],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a hard link out, then a file under its name',
		entries: (outside) => [
			{ name: 'l', type: '1', linkName: `${outside}/victim` },
			{ name: 'l', ...evil },
		],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a hard link to itself',
		entries: () => [{ name: 'l', type: '1', linkName: './l' }],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a hard link to a folder',
		entries: () => [
			{ name: 'd/', type: '5' },
			{ name: 'l', type: '1', linkName: 'd' },
		],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a hard link to nothing',
		entries: () => [{ name: 'l', type: '1', linkName: 'nothing' }],
		code: 'LINK_TARGET_MISSING',
	},
	{ what: 'a character device', entries: () => [{ name: 'null', type: '3' }], code: 'UNSAFE_ENTRY' },
	{ what: 'a block device', entries: () => [{ name: 'sda', type: '4' }], code: 'UNSAFE_ENTRY' },
	{
		what: 'a file in place of the target',
		entries: () => [{ name: './', type: '2', linkName: 'x' }],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a folder that turns into a file',
		entries: () => [
			{ name: 'd/x', body: 'x' },
			{ name: 'd', ...evil },
		],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a file that turns into a folder',
		entries: () => [
			{ name: 'd', ...evil },
			{ name: 'd/x', body: 'x' },
		],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'a file that turns into a link',
		entries: () => [
			{ name: 'd', ...evil },
			{ name: 'd', type: '2', linkName: 'x' },
		],
		code: 'UNSAFE_ENTRY',
	},
	{
		what: 'more names than memory',
		entries: () => [{ name: 'p', type: 'x', size: 2 ** 33 - 1 }],
		code: 'DAMAGED',
	},
	{
		what: 'a file larger than every disk',
		entries: () => [pax('size', String(2 ** 52)), { name: 'x' }],
		code: 'DISK_FULL',
	},
	{
		what: 'a size that hides an entry from one reader and not from another',
		entries: () => [
			pax('size', '512'),
			gnu('L', 'b'),
			{ name: 'x', body: rawTar({ name: '../outside/victim', ...evil }) },
		],
		code: 'DAMAGED',
	},
];

/** What is refused must be so whatever the operator chose about existing files; links out only if that is not allowed. */
const settings: ExtractOptions[] = [
	{},
	{ ifExists: 'replace' },
	{ ifExists: 'keep', outsideLinks: 'skip' },
	{ ifExists: 'replace', outsideLinks: 'keep' },
];

describe('an archive with', () => {
	for (const { what, entries, code } of attempts) {
		test(what, () =>
			withVictim(async (target, outside) => {
				for (const options of settings) {
					const isLink = what.startsWith('a link') && !what.includes('zero byte');
					if (isLink && options.outsideLinks) continue;
					const bytes = rawTar({ name: 'first', body: 'x' }, ...entries(outside));
					await assert.rejects(extractFiles(streamOf(bytes), target, options), failsWith(code));
				}
			}),
		);
	}

	test('a link and then a file through it: the link is made last, and a folder is in its place', () =>
		withVictim(async (target, outside) => {
			for (const options of settings) {
				for (const linkName of [outside, '../outside', '.']) {
					const bytes = rawTar({ name: 'l', type: '2', linkName }, { name: 'l/victim', ...evil });
					const outcome = await extractFiles(streamOf(bytes), target, options).catch(
						(error: unknown) => error,
					);
					if (options.outsideLinks === 'skip' && linkName !== '.') {
						// Without the link it is an ordinary folder.
						assert.equal(await readFile(join(target, 'l/victim'), 'utf8'), 'overwritten');
						return;
					}
					failsWith('UNSAFE_ENTRY')(outcome);
				}
			}
		}, true));

	test('a folder, a link in its place, and a file through it (CVE-2021-32803)', () =>
		withVictim(async (target, outside) => {
			const bytes = rawTar(
				{ name: 'd/', type: '5' },
				{ name: 'd', type: '2', linkName: outside },
				{ name: 'd/victim', ...evil },
			);
			await assert.rejects(
				extractFiles(streamOf(bytes), target, { outsideLinks: 'keep' }),
				failsWith('UNSAFE_ENTRY', /"d" is a link, but was a folder before/),
			);
		}));

	for (const [first, second] of [
		['d', 'D'],
		['\u00e9', 'e\u0301'],
		['ß', 'SS'],
		['d', 'd.'],
		['d', 'd\\'],
	] as const) {
		test(`a link and a file through a name that may be the same: ${first} and ${second} (CVE-2021-37712)`, () =>
			withVictim(async (target, outside) => {
				const bytes = rawTar(
					pax('path', first),
					{ name: 'x', type: '2', linkName: outside },
					pax('path', `${second}/victim`),
					{ name: 'x', ...evil },
				);
				// Where the names differ both are made; where they don't, the folder comes first and the link is refused.
				await extractFiles(streamOf(bytes), target, { outsideLinks: 'keep' });
				assert.deepEqual((await readdir(target)).sort(), [first, second].sort());
			}, true));
	}

	test('backslashes: ordinary characters here, which lead nowhere', () =>
		withVictim(async (target) => {
			await extractFiles(streamOf(rawTar({ name: '..\\outside\\victim', ...evil })), target);
			assert.deepEqual(await readdir(target), ['..\\outside\\victim']);
		}, true));

	test('a set-user-ID file: the bit is dropped', () =>
		withVictim(async (target) => {
			const report = await extractFiles(streamOf(rawTar({ name: 'sh', body: 'x', mode: 0o6755 })), target);
			assert.equal((await stat(join(target, 'sh'))).mode & 0o7777, 0o755);
			assert.equal(report.skippedCount, 1);
		}, true));

	test('a pipe: it is left out, and nothing waits for a writer', () =>
		withVictim(async (target) => {
			const report = await extractFiles(
				streamOf(rawTar({ name: 'p', type: '6' }, { name: 'a', body: 'x' })),
				target,
			);
			assert.deepEqual(report.skipped, [{ path: 'p', reason: 'a pipe, not a file' }]);
			assert.deepEqual(await readdir(target), ['a']);
		}, true));

	test('a hundred thousand folders in each other: refused before one is made', () =>
		withVictim(async (target) => {
			const bytes = rawTar(pax('path', 'a/'.repeat(100_000)), { name: 'x', type: '5' });
			await assert.rejects(extractFiles(streamOf(bytes), target), failsWith('UNSAFE_ENTRY', /name longer/));
		}));

	test('a name longer than any file system takes', () =>
		withVictim(async (target) => {
			const bytes = rawTar(pax('path', 'n'.repeat(256)), { name: 'x', ...evil });
			await assert.rejects(
				extractFiles(streamOf(bytes), target),
				failsWith('WRITE_FAILED', /name too long/i),
			);
		}));
});

test('an entry is not written through a link that somebody puts into the target meanwhile', () =>
	withVictim(async (target, outside) => {
		const bytes = rawTar(
			{ name: 'd/', type: '5' },
			{ name: 'd/victim', ...evil },
			{ name: 'last', body: 'x' },
		);
		const onProgress = ({ step }: { step: string }) => {
			if (step === 'last') void symlink(outside, join(target, 'd'));
		};
		const source = streamOf(bytes, 512);
		const outcome = await extractFiles(source, target, { ifExists: 'replace', onProgress }).catch(
			(error: unknown) => error,
		);
		if (outcome instanceof LifeboatError) assert.equal(outcome.code, 'TARGET_CONFLICT');
	}, true));

/** @param mayChange whether the target may hold something afterwards. */
async function withVictim(
	run: (target: string, outside: string) => Promise<void>,
	mayChange = false,
): Promise<void> {
	await inFolder(async (folder) => {
		const [target, outside] = [join(folder, 'target'), join(folder, 'outside')];
		await mkdir(target);
		await mkdir(outside);
		await writeFile(join(outside, 'victim'), 'as it was', { mode: 0o600 });
		const before = await describeTree(outside);
		await run(target, outside);
		assert.deepEqual(await describeTree(outside), before);
		assert.deepEqual((await readdir(folder)).sort(), ['outside', 'target']);
		if (!mayChange) assert.deepEqual(await readdir(target), []);
	});
}

function pax(key: string, value: string): RawEntry {
	return { name: 'PaxHeader/x', type: 'x', body: paxRecord(key, value) };
}

function gnu(type: string, value: string): RawEntry {
	return { name: '././@LongLink', type, body: `${value}\0` };
}
