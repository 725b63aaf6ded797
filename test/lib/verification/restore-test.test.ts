import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { link, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { packBundle } from '../../../lib/archive/bundle';
import { packFiles } from '../../../lib/archive/pack';
import { testFiles } from '../../../lib/verification/restored-files';
import { testRestore, toProof } from '../../../lib/verification/restore-test';

import { rawTar } from '../archive/raw-tar';
import { dumpOf, inFolder, known, now, sampleBytes } from '../archive/helpers';

import { compressed, decoder, dumpText, forged, tables, type Known } from './samples';

const clock = () => new Date(now.getTime() + 90_000);

async function archive(folder: string): Promise<Known> {
	await mkdir(join(folder, 'in/sub'), { recursive: true });
	await writeFile(join(folder, 'in/a'), sampleBytes(70_000));
	await writeFile(join(folder, 'in/sub/empty'), '');
	await symlink('../a', join(folder, 'in/sub/link'));
	await symlink('/etc/passwd', join(folder, 'in/outside'));
	return await compressed(packFiles({ name: 'files', now, paths: [join(folder, 'in')] }));
}

test('files come back as they were, and nothing of them stays', () =>
	inFolder(async (folder) => {
		const backup = await archive(folder);
		const report = await testRestore(backup, { decoder, scratches: [], folder, clock });
		assert.deepEqual([report.result, report.level, report.error], ['passed', 'restores', undefined]);
		assert.equal(report.method, 'temporary folder');
		assert.match(report.checks[0]!.detail!, /^2 files, \d folders and 2 links are there, each file with/);
		assert.deepEqual([report.dataAge, report.testedAt], [90_000, clock().toISOString()]);
		assert.deepEqual(await readdir(folder), ['in']);
		const proof = toProof(backup.manifest, report);
		assert.deepEqual(
			[proof.passed, proof.backupId, proof.storedSha256, proof.dataAge],
			[true, backup.manifest.id, backup.manifest.stored.sha256, 90_000],
		);
	}));

test('a damaged backup is not restored at all, and the level that fails is told', () =>
	inFolder(async (folder) => {
		const backup = await archive(folder);
		backup.bytes[backup.bytes.length - 20]! ^= 1;
		const report = await testRestore(backup, { decoder, scratches: [], folder, clock });
		assert.deepEqual([report.result, report.level, report.checks], ['failed', 'stored', []]);
		assert.equal(report.error!.code, 'CHECKSUM_MISMATCH');
		assert.equal(toProof(backup.manifest, report).passed, false);
	}));

test('a file that differs from the archive, or is counted but not there, fails', () =>
	inFolder(async (folder) => {
		const backup = await known(packFiles({ name: 'files', now, paths: [await filesIn(folder)] }));
		// Between the two readings one byte of the content changes: what is compared is what was really written.
		const changed = Buffer.from(backup.bytes);
		changed[changed.indexOf('first file') + 1]! ^= 1;
		let opened = 0;
		const open = async () => Readable.from([opened++ === 0 ? changed : backup.bytes]);
		const { checks } = await testFiles(open, backup.manifest, folder);
		assert.deepEqual([checks[0]!.passed, /in\/1 has other content/.test(checks[0]!.detail!)], [false, true]);
		const { source } = backup.manifest;
		const counted = { ...backup.manifest, source: { ...source, fileCount: 3 } } as typeof backup.manifest;
		const again = await testFiles(async () => Readable.from([backup.bytes]), counted, folder);
		assert.match(again.checks[0]!.detail!, /there are 2 files, 3 were backed up/);
		assert.deepEqual(await readdir(folder), ['in']);
	}));

test('what was left out when it was made is told, as is a second name that can not come back', () =>
	inFolder(async (folder) => {
		await mkdir(join(folder, 'in'));
		await writeFile(join(folder, 'in/first'), 'content');
		await link(join(folder, 'in/first'), join(folder, 'in/second'));
		await promisify(execFile)('mkfifo', [join(folder, 'in/pipe')]);
		const backup = await known(packFiles({ name: 'files', now, paths: [join(folder, 'in')] }));
		const options = { decoder, scratches: [], folder, clock };
		const report = await testRestore(backup, options);
		assert.deepEqual([report.result, report.warnings.length], ['passed', 1]);
		assert.match(report.warnings[0]!, /Left out when it was made: 1, such as .*pipe \(a pipe, not a file\)/);
		assert.ok(report.proved.includes(report.warnings[0]!));

		const orphan = rawTar({ name: 'first', body: 'x' }, { name: 'second', type: '1', linkName: 'missing' });
		const source = { type: 'files' as const, paths: [] };
		const failed = await testRestore(await forged(backup, orphan, { source }), options);
		assert.deepEqual([failed.result, failed.error!.code], ['failed', 'LINK_TARGET_MISSING']);
	}));

test('of a second name the content is compared, too', () =>
	inFolder(async (folder) => {
		const named = (to: string) =>
			rawTar({ name: '1', body: 'one' }, { name: '2', body: 'two' }, { name: 'x', type: '1', linkName: to });
		let opened = 0;
		const open = async () => Readable.from([named(opened++ === 0 ? '1' : '2')]);
		const backup = await archive(folder);
		const { checks } = await testFiles(open, backup.manifest, folder);
		assert.match(checks[0]!.detail!, /x has other content than 2/);
	}));

test('a bundle of nothing proves nothing', () =>
	inFolder(async (folder) => {
		const dump = await dumpOf(dumpText, { tables });
		const bundle = await known(packBundle({ name: 'all', now, artifacts: [dump] }));
		const { entries, ...draft } = bundle.manifest;
		assert.equal(entries!.length, 1);
		const text = JSON.stringify(draft);
		const empty = await forged(bundle, rawTar({ name: 'manifest.json', body: text }), { entries: undefined });
		const report = await testRestore(empty, { decoder, scratches: [], folder, clock });
		assert.deepEqual([report.result, report.error!.code], ['failed', 'EMPTY']);
	}));

async function filesIn(folder: string): Promise<string> {
	await mkdir(join(folder, 'in'));
	await writeFile(join(folder, 'in/1'), 'first file');
	await writeFile(join(folder, 'in/2'), 'second file');
	return join(folder, 'in');
}

test('what no place is there for is neither passed nor failed, also within a bundle', () =>
	inFolder(async (folder) => {
		const dump = await dumpOf(dumpText, { tables });
		const alone = await testRestore(dump, { decoder, scratches: [], folder, clock });
		assert.deepEqual([alone.result, alone.error!.code], ['not testable', 'NOT_TESTABLE']);
		const bundle = await known(packBundle({ name: 'all', now, artifacts: [dump, await archive(folder)] }));
		const report = await testRestore(bundle, { decoder, scratches: [], folder, clock });
		assert.equal(report.result, 'not testable');
		assert.deepEqual(
			report.checks.map(({ name, passed }) => [name.replace(/^.*: /, ''), passed]),
			[
				['Restore', false],
				['Files', true],
			],
		);
		assert.match(report.checks[1]!.name, /^files-.*\.tar\.zst: Files$/);
		// A part that is not whole makes it failed, not merely untestable.
		const short = await forged(dump, Buffer.from(dumpText.replace('1\tone\n', '')));
		const broken = await known(packBundle({ name: 'all', now, artifacts: [short] }));
		const failed = await testRestore(broken, { decoder, scratches: [], folder, clock });
		assert.deepEqual([failed.result, failed.level], ['failed', 'complete']);
	}));

test('an abort ends it and leaves nothing', () =>
	inFolder(async (folder) => {
		const backup = await archive(folder);
		const stop = new AbortController();
		let opened = 0;
		const hanging = {
			...backup,
			async open(signal?: AbortSignal) {
				if ((opened += 1) === 2) setTimeout(() => stop.abort(), 20);
				return await backup.open(signal);
			},
		};
		const slow = { ...hanging, open: async (signal?: AbortSignal) => await pausing(hanging, signal, opened) };
		const running = testRestore(slow, { decoder, scratches: [], folder, clock, signal: stop.signal });
		await assert.rejects(running, { name: 'AbortError' });
		assert.deepEqual(await readdir(folder), ['in']);
	}));

/** From the second opening on, the bytes never come. */
async function pausing(backup: Pick<Known, 'open'>, signal: AbortSignal | undefined, opened: number) {
	const inner = await backup.open(signal);
	if (opened === 0) return inner;
	const stream = new Readable({ read() {} });
	signal?.addEventListener('abort', () => stream.destroy(signal.reason as Error));
	return { ...inner, stream };
}
