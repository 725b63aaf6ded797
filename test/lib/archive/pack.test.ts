import assert from 'node:assert/strict';
import { once } from 'node:events';
import { linkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import {
	appendFile,
	chmod,
	link,
	mkdir,
	open,
	readdir,
	readFile,
	rename,
	rm,
	stat,
	symlink,
	truncate,
	utimes,
	writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { finished } from 'node:stream/promises';

import { extractFiles, listArchive } from '../../../lib/archive/extract';
import { packFiles } from '../../../lib/archive/pack';
import { parseManifest } from '../../../lib/artifact/manifest';
import { runCommand } from '../../servers/process';

import {
	assertSameTree,
	collect,
	describeTree,
	failsWith,
	inFolder,
	now,
	pack,
	sampleBytes,
	streamOf,
} from './helpers';

async function names(bytes: Buffer): Promise<string[]> {
	const found: string[] = [];
	for await (const { name } of listArchive(streamOf(bytes))) found.push(name);
	return found;
}

async function makeFiles(folder: string, ...paths: string[]): Promise<void> {
	for (const path of paths) {
		if (path.endsWith('/')) await mkdir(join(folder, path), { recursive: true });
		else {
			await mkdir(join(folder, path, '..'), { recursive: true });
			await writeFile(join(folder, path), `content of ${path}`);
		}
	}
}

describe('the tools that every machine has open what is packed:', () => {
	for (const [tool, args] of [
		['tar', ['-xpf']],
		['bsdtar', ['-xpf']],
	] as const) {
		test(tool, () =>
			inFolder(async (folder) => {
				const root = join(folder, 'in');
				await makeFiles(
					root,
					'plain',
					'void',
					'empty/',
					'a/b/c/deep',
					'Grüße/世界 🚀',
					'.hidden',
					'back\\slash',
				);
				await makeFiles(
					root,
					`${'n'.repeat(200)}/${'m'.repeat(255)}`,
					'line\nbreak',
					' spaces ',
					'-dash',
					'"quote',
				);
				await writeFile(join(root, 'large'), sampleBytes(3_000_000));
				await writeFile(join(root, 'executable'), '#!/bin/sh\n', { mode: 0o755 });
				await chmod(join(root, 'plain'), 0o640);
				await chmod(join(root, 'a/b'), 0o1777);
				await link(join(root, 'plain'), join(root, 'second name'));
				await symlink('plain', join(root, 'link'));
				await symlink('/nowhere/at/all', join(root, 'dangling'));
				await symlink(`${'t'.repeat(150)}/ü`, join(root, 'long link'));
				await utimes(join(root, 'plain'), 1234567890.125, 1234567890.125);
				await utimes(join(root, 'void'), -86400.5, -86400.5);
				await utimes(join(root, 'large'), 8_000_000_000, 8_000_000_000);
				const { bytes, source } = await pack({ paths: [root] });
				await writeFile(join(folder, 'a.tar'), bytes);
				await mkdir(join(folder, 'out'));
				await runCommand(tool, [...args, join(folder, 'a.tar'), '-C', join(folder, 'out')]);
				const [before, after] = [await describeTree(root), await describeTree(join(folder, 'out', 'in'))];
				// To the nanosecond.
				assertSameTree(after, before, 0n);
				assert.equal(bytes.length % 512, 0);
				assert.equal(
					source.fileCount,
					Object.values(before).filter(({ text }) => text.startsWith('file')).length,
				);
				assert.equal(source.linkCount, 3);
			}),
		);
	}

	test('what ustar can not hold: numbers', () =>
		inFolder(async (folder) => {
			const path = join(folder, 'huge');
			await writeFile(path, '');
			await truncate(path, 9 * 2 ** 30);
			// The latest that ext4 keeps.
			await utimes(path, 15_032_385_535, 15_032_385_535);
			const opened = await packFiles({ name: 'huge', now, paths: [path] }).open();
			// The header alone tells; the nine gigabytes of zeros need not be read.
			const [start] = (await once(opened.stream, 'data')) as [Buffer];
			opened.stream.destroy();
			await writeFile(join(folder, 'start.tar'), start);
			for (const [tool, pattern] of [
				['tar', /9663676416 2446-05-10 22:38:55 huge/],
				['bsdtar', /9663676416 May 10 {2}2446 huge/],
			] as const) {
				const script = `TZ=UTC LC_ALL=C.UTF-8 ${tool} --full-time -tvf "$1" 2>/dev/null || TZ=UTC LC_ALL=C ${tool} -tvf "$1" 2>/dev/null || true`;
				assert.match(await runCommand('sh', ['-c', script, 'sh', join(folder, 'start.tar')]), pattern);
			}
		}));
});

describe('names in the archive', () => {
	test('are relative to the folder that holds the path', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'shop/a', 'shop/b/c');
			const { bytes } = await pack({ paths: [join(folder, 'shop')] });
			assert.deepEqual(await names(bytes), ['shop/', 'shop/a', 'shop/b/', 'shop/b/c']);
		}));

	test('leave out the name of the folder that is packed, if that is chosen', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'shop/a', 'shop/b/c', 'wiki/d');
			const paths = [join(folder, 'shop'), join(folder, 'wiki')];
			const one = await pack({ paths: paths.slice(0, 1), includeFolderName: false });
			assert.deepEqual(await names(one.bytes), ['./', 'a', 'b/', 'b/c']);
			const two = await pack({ paths, includeFolderName: false });
			assert.deepEqual(await names(two.bytes), ['shop/', 'shop/a', 'shop/b/', 'shop/b/c', 'wiki/', 'wiki/d']);
			const file = await pack({ paths: [join(folder, 'shop/b/c')], includeFolderName: false });
			assert.deepEqual(await names(file.bytes), ['c']);
		}));

	test('are relative to the deepest folder that holds all paths', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'shop/a/x', 'shop/b/y/z', 'shop/c');
			const { bytes } = await pack({ paths: [join(folder, 'shop/b/y/'), join(folder, 'shop/a')] });
			assert.deepEqual(await names(bytes), ['a/', 'a/x', 'b/y/', 'b/y/z']);
		}));

	test('are relative to the base folder that is given', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'shop/a/x');
			const inside = await pack({ paths: [join(folder, 'shop')], baseFolder: join(folder, 'shop') });
			assert.deepEqual(await names(inside.bytes), ['./', 'a/', 'a/x']);
			const above = await pack({ paths: [join(folder, 'shop/a/x')], baseFolder: folder });
			assert.deepEqual(await names(above.bytes), ['shop/a/x']);
			const beside = pack({ paths: [join(folder, 'shop')], baseFolder: join(folder, 'sh') });
			await assert.rejects(beside, failsWith('INVALID_OPTION', /base folder/));
		}));

	test('leave out the name of a folder, if that is chosen', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'shop/a', 'shop/b/c', 'other/d');
			const of = async (...paths: string[]) =>
				await names(
					(await pack({ paths: paths.map((path) => join(folder, path)), includeFolderName: false })).bytes,
				);
			assert.deepEqual(await of('shop'), ['./', 'a', 'b/', 'b/c']);
			assert.deepEqual(await of('shop/a'), ['a']);
			assert.deepEqual(await of('shop/b', 'other'), ['other/', 'other/d', 'shop/b/', 'shop/b/c']);
		}));

	test('come in the same order, whatever the order of the disk or of the paths', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'b', 'a', 'Z', 'ä', '10', '9', 'd/z', 'd/a');
			const forward = await pack({
				paths: ['a', 'd', 'b', 'Z', 'ä', '10', '9'].map((name) => join(folder, name)),
			});
			const backward = await pack({
				paths: ['9', '10', 'ä', 'Z', 'b', 'd', 'a'].map((name) => join(folder, name)),
			});
			assert.deepEqual(await names(forward.bytes), ['10', '9', 'Z', 'a', 'b', 'd/', 'd/a', 'd/z', 'ä']);
			assert.deepEqual(forward.bytes, backward.bytes);
		}));

	test('come once, also where paths overlap', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'a/x', 'a/b/y', 'a/.git/z', 'c');
			const paths = ['', '/a', '/a/b/y', '/a/**/y', '/**', '/c'].map((path) => folder + path);
			const all = await names((await pack({ paths, baseFolder: folder })).bytes);
			assert.deepEqual(all, ['./', 'a/', 'a/.git/', 'a/.git/z', 'a/b/', 'a/b/y', 'a/x', 'c']);
			// What one path leaves out because it is hidden, another may name.
			const hidden = await pack({ paths: [join(folder, 'a'), join(folder, 'a/.git')], includeHidden: false });
			assert.deepEqual(await names(hidden.bytes), ['a/', 'a/b/', 'a/b/y', 'a/x', 'a/.git/', 'a/.git/z']);
		}));
});

describe('what goes in', () => {
	test('globs: what matches, with all that a folder holds', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'a.json', 'b.txt', '.c.json', 'd.json/inner', 'sub/e.json', 'sub/deep/f.json');
			assert.deepEqual(await names((await pack({ paths: [`${folder}/*.json`] })).bytes), [
				...['.c.json', 'a.json', 'd.json/', 'd.json/inner'],
			]);
			assert.deepEqual(await names((await pack({ paths: [`${folder}/**/{e,f}.json`] })).bytes), [
				...['sub/deep/f.json', 'sub/e.json'],
			]);
			assert.deepEqual(await names((await pack({ paths: [`${folder}/sub/**`] })).bytes), [
				...['deep/', 'deep/f.json', 'e.json'],
			]);
			const visible = await pack({ paths: [`${folder}/*.json`], includeHidden: false });
			assert.deepEqual(await names(visible.bytes), ['a.json', 'd.json/', 'd.json/inner']);
		}));

	test('a path that exists is that path, though it looks like a glob', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'x[1]/a', 'x1/b', 'c*');
			const { bytes } = await pack({ paths: [join(folder, 'x[1]'), join(folder, 'c*')] });
			assert.deepEqual(await names(bytes), ['c*', 'x[1]/', 'x[1]/a']);
		}));

	test('exclusions: names at any depth, whole paths, folders with all they hold', () =>
		inFolder(async (folder) => {
			await makeFiles(
				folder,
				'a/x.log',
				'a/x',
				'a/cache/y',
				'a/b/cache/z',
				'a/b/tmp/q',
				'tmp/r',
				'a/.cache/s',
			);
			const exclude = ['*.log', 'cache/', `${folder}/a/b/tmp`];
			const { bytes, manifest } = await pack({ paths: [`${folder}/*`], exclude });
			assert.deepEqual(await names(bytes), ['a/', 'a/.cache/', 'a/.cache/s', 'a/b/', 'a/x', 'tmp/', 'tmp/r']);
			assert.deepEqual(manifest.source.type === 'files' && manifest.source.exclude, exclude);
			const relative = await pack({ paths: [`${folder}/*`], exclude: ['b/**', 'x*'] });
			assert.deepEqual((await names(relative.bytes)).includes('a/b/'), false);
		}));

	test('sockets and pipes are left out and named, and our own temporary files', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'in/a', 'in/.lifeboat-half', 'in/.lifeboat-restore-x/a');
			await runCommand('mkfifo', [join(folder, 'in/pipe')]);
			const server = createServer().listen(join(folder, 'in/socket'));
			await once(server, 'listening');
			try {
				const { bytes, source } = await pack({ paths: [join(folder, 'in')] });
				assert.deepEqual(await names(bytes), ['in/', 'in/a']);
				assert.equal(source.skippedCount, 4);
				assert.deepEqual(
					source.skipped?.map(({ path, reason }) => `${path.slice(folder.length)}: ${reason}`),
					[
						'/in/.lifeboat-half: a temporary file of Lifeboat, of this run or one that was interrupted',
						'/in/.lifeboat-restore-x: a temporary file of Lifeboat, of this run or one that was interrupted',
						'/in/pipe: a pipe, not a file',
						'/in/socket: a socket, not a file',
					],
				);
			} finally {
				server.close();
			}
		}));

	test('links are not followed, out of the folder or in a circle', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'in/a', 'secret/key');
			await symlink('../secret', join(folder, 'in/out'));
			await symlink('.', join(folder, 'in/self'));
			const { bytes } = await pack({ paths: [join(folder, 'in')] });
			assert.deepEqual(await names(bytes), ['in/', 'in/a', 'in/out', 'in/self']);
		}));

	test('the rules on access are asked for each file and folder, and before it is read', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'in/a', 'in/b/c', 'in/b/d');
			await symlink('/etc', join(folder, 'in/link'));
			const asked: string[] = [];
			const assertAllowed = async (path: string) => {
				asked.push(path.slice(folder.length));
				if (path.endsWith('/d')) throw new Error('not that one');
			};
			await assert.rejects(pack({ paths: [join(folder, 'in')], assertAllowed }), /not that one/);
			assert.deepEqual(asked, ['/in', '/in/a', '/in/b', '/in/b/c', '/in/b/d']);
		}));
});

describe('a backup that would be empty or lack something fails:', () => {
	test('no path', () => assert.rejects(pack({ paths: [] }), failsWith('NOTHING_TO_ARCHIVE')));

	test('a path that is not absolute', () =>
		assert.rejects(pack({ paths: ['data'] }), failsWith('INVALID_PATH', /data/)));

	test('a path that does not exist, though others do', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'a');
			for (const missing of ['missing', 'a/b', 'missing/*']) {
				const paths = [join(folder, 'a'), join(folder, missing)];
				await assert.rejects(pack({ paths }), failsWith('NOT_FOUND', /missing|a\/b/));
			}
		}));

	test('a glob that matches nothing, though others do', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'a.txt', 'sub/deep/a.json');
			for (const glob of ['*.json', 'sub/*.json', '**/*.sql']) {
				const paths = [join(folder, 'a.txt'), join(folder, glob)];
				await assert.rejects(pack({ paths }), failsWith('NOTHING_TO_ARCHIVE', /Nothing matches/));
			}
		}));

	test('folders without a single file, as of a disk that is not mounted', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'mnt/empty/');
			await symlink('/etc', join(folder, 'mnt/link'));
			const options = { paths: [join(folder, 'mnt')] };
			await assert.rejects(pack(options), failsWith('NOTHING_TO_ARCHIVE', /no file in .*mnt/));
			assert.deepEqual(await names((await pack({ ...options, allowEmpty: true })).bytes), [
				'mnt/',
				'mnt/empty/',
				'mnt/link',
			]);
		}));

	test('everything excluded', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'in/a', 'in/b');
			const options = { paths: [join(folder, 'in')], exclude: ['a', 'b'] };
			await assert.rejects(pack(options), failsWith('NOTHING_TO_ARCHIVE'));
		}));

	test('an end of the stream that was not reached has no manifest', () =>
		inFolder(async (folder) => {
			await writeFile(join(folder, 'a'), sampleBytes(5_000_000));
			const opened = await packFiles({ name: 'a', now, paths: [folder] }).open();
			await once(opened.stream, 'data');
			await assert.rejects(opened.finish(), failsWith('INCOMPLETE'));
			opened.stream.destroy();
		}));
});

describe('files that can not be read', () => {
	const unreadable = Buffer.concat([Buffer.from('caf'), Buffer.from([0xe9])]);

	async function withUnreadable(run: (folder: string) => Promise<void>): Promise<void> {
		await inFolder(async (folder) => {
			await makeFiles(folder, 'in/a', 'in/z');
			await writeFile(Buffer.concat([Buffer.from(join(folder, 'in/')), unreadable]), 'x');
			await run(folder);
		});
	}

	test('fail the backup, by name', () =>
		withUnreadable((folder) =>
			assert.rejects(pack({ paths: [join(folder, 'in')] }), failsWith('READ_FAILED', /caf.*not valid UTF-8/)),
		));

	test('are left out and named, if that is chosen', () =>
		withUnreadable(async (folder) => {
			const { bytes, source, manifest } = await pack({
				paths: [join(folder, 'in')],
				ifUnreadable: 'skip-and-report',
			});
			assert.deepEqual(await names(bytes), ['in/', 'in/a', 'in/z']);
			assert.equal(source.skippedCount, 1);
			assert.match(source.skipped![0]!.reason, /not valid UTF-8/);
			assert.deepEqual(parseManifest(JSON.parse(JSON.stringify(manifest)), 'manifest'), manifest);
		}));

	test('are those that the user may not read, too', () =>
		inFolder(async (folder) => {
			await makeFiles(folder, 'in/a', 'in/closed', 'in/folder/b');
			await chmod(join(folder, 'in/closed'), 0);
			await chmod(join(folder, 'in/folder'), 0);
			await chmod(folder, 0o755);
			// As an ordinary user, whoever runs the tests.
			const child = [
				process.execPath,
				'--import',
				'tsx',
				join(__dirname, 'pack-child.ts'),
				join(folder, 'in'),
			];
			const ids =
				process.getuid!() === 0 ? ['setpriv', '--clear-groups', '--reuid=65534', '--regid=65534'] : [];
			const [program, ...args] = [...ids, ...child] as [string, ...string[]];
			const run = (policy: string) => runCommand(program, [...args, policy]);
			assert.match(await run('fail'), /^READ_FAILED: .*in\/closed could not be read: permission denied\n$/);
			const { skipped, names: packed } = JSON.parse(await run('skip-and-report')) as Record<
				string,
				{ path: string }[]
			>;
			assert.deepEqual(
				skipped!.map(({ path }) => path.slice(folder.length)),
				['/in/closed', '/in/folder'],
			);
			assert.deepEqual(packed, ['in/', 'in/a', 'in/folder/']);
		}));
});

describe('files that change while they are read', () => {
	/** Packs until something of the file at hand has come out, then does something to it. */
	async function packWhile(
		folder: string,
		act: () => Promise<unknown>,
		options: { ifChanged?: 'fail' | 'report' } = {},
	) {
		const opened = await packFiles({ name: 'test', now, paths: [join(folder, 'in')], ...options }).open();
		const chunks: Buffer[] = [];
		let isDone = false;
		for await (const chunk of opened.stream as AsyncIterable<Buffer>) {
			chunks.push(chunk);
			if (!isDone) await act();
			isDone = true;
		}
		return { bytes: Buffer.concat(chunks), manifest: await opened.finish() };
	}

	async function withLarge(run: (folder: string, path: string) => Promise<void>): Promise<void> {
		await inFolder(async (folder) => {
			const path = join(folder, 'in', 'large');
			await mkdir(join(folder, 'in'));
			await writeFile(path, sampleBytes(20_000_000));
			await run(folder, path);
		});
	}

	test('fail the backup when they grow', () =>
		withLarge((folder, path) =>
			assert.rejects(
				packWhile(folder, () => appendFile(path, 'more')),
				failsWith('FILE_CHANGED', /large was written to/),
			),
		));

	test('fail the backup when they are overwritten', () =>
		withLarge((folder, path) =>
			assert.rejects(
				packWhile(folder, async () => {
					const handle = await open(path, 'r+');
					await handle.write('x', 19_000_000);
					await handle.close();
				}),
				failsWith('FILE_CHANGED', /large was written to/),
			),
		));

	for (const ifChanged of ['fail', 'report'] as const) {
		test(`fail the backup when they become shorter (${ifChanged})`, () =>
			withLarge((folder, path) =>
				assert.rejects(
					packWhile(folder, () => truncate(path, 1000), { ifChanged }),
					failsWith('FILE_CHANGED', /large became shorter/),
				),
			));
	}

	test('are packed as they were at the start and named, if that is chosen', () =>
		withLarge(async (folder, path) => {
			const { bytes, manifest } = await packWhile(folder, () => appendFile(path, 'more'), {
				ifChanged: 'report',
			});
			const source = manifest.source.type === 'files' ? manifest.source : undefined;
			assert.deepEqual([source?.changed, source?.changedCount], [[path], 1]);
			assert.deepEqual(
				bytes.subarray(bytes.indexOf(sampleBytes(64)))?.subarray(0, 20_000_000),
				sampleBytes(20_000_000),
			);
			assert.deepEqual(await names(bytes), ['in/', 'in/large']);
		}));

	test('that are gone or replaced by then fail the backup, or are named', () =>
		withLarge(async (folder) => {
			await writeFile(join(folder, 'in/z'), 'z');
			// The walk has listed the folder by the time that the first bytes come.
			await assert.rejects(
				packWhile(folder, () => rm(join(folder, 'in/z'))),
				failsWith('FILE_CHANGED', /in\/z was removed/),
			);
			await writeFile(join(folder, 'in/z'), 'z');
			const { bytes, manifest } = await packWhile(folder, () => rm(join(folder, 'in/z')), {
				ifChanged: 'report',
			});
			assert.deepEqual(await names(bytes), ['in/', 'in/large']);
			assert.match(JSON.stringify(manifest.source), /in\/z.*was removed while it was read/);
		}));

	test('that get the inode of one that is gone are not taken for another name of it', () =>
		inFolder(async (folder) => {
			const [first, second] = ['in/1', 'in/2'].map((name) => join(folder, name)) as [string, string];
			for (const path of [first, second]) await mkdir(path, { recursive: true });
			await writeFile(join(first, 'a'), 'old');
			await link(join(first, 'a'), join(first, 'b'));
			const { ino } = await stat(join(first, 'a'));
			const made: string[] = [];
			// While the first is packed; a file system that gives numbers anew gives it to one of the next.
			const replace = () => {
				if (made.length > 0) return;
				for (const name of ['a', 'b']) rmSync(join(first, name));
				for (let number = 0; number < 20; number++) {
					const path = join(second, `new-${number}`);
					writeFileSync(path, `new ${number}`);
					linkSync(path, join(second, `other-${number}`));
					made.push(path);
					if (statSync(path).ino === ino) break;
				}
			};
			const { bytes } = await pack({
				paths: [join(folder, 'in')],
				ifChanged: 'report',
				onProgress: ({ step }) => void (step.endsWith('1/a') && replace()),
			});
			const target = join(folder, 'out');
			await extractFiles(streamOf(bytes), target);
			assert.ok(made.length > 0);
			for (const number of made.keys()) {
				for (const name of ['new', 'other'])
					assert.equal(await readFile(join(target, `in/2/${name}-${number}`), 'utf8'), `new ${number}`);
			}
		}));

	/** Packs with a kernel that takes 200 ms for each reading of the file `busy`, which something is done to meanwhile. */
	async function packSlowly(act: (path: string) => Promise<void>, policy: string): Promise<string> {
		return await inFolder(async (folder) => {
			await makeFiles(folder, 'in/a', 'in/busy');
			const path = join(folder, 'in/busy');
			const inject = ['-P', path, '-e', 'trace=pread64', '-e', 'inject=pread64:delay_exit=200000'];
			const child = [
				process.execPath,
				'--import',
				'tsx',
				join(__dirname, 'pack-child.ts'),
				join(folder, 'in'),
				policy,
			];
			let isOver = false;
			const packing = runCommand('strace', ['-f', '-o', join(folder, 'trace'), ...inject, ...child]);
			const done = packing.finally(() => (isOver = true));
			while (!isOver) {
				await act(path);
				await new Promise((resolve) => setTimeout(resolve, 10));
			}
			return (await done).replaceAll(folder, '');
		});
	}

	test('that are small fail the backup if they never hold still, though their size stays', async () => {
		let round = 0;
		const overwrite = async (path: string) => {
			const handle = await open(path, 'r+');
			await handle.write(String(round++ % 10), 0);
			await handle.close();
		};
		assert.equal(
			await packSlowly(overwrite, 'fail'),
			'FILE_CHANGED: /in/busy was written to while it was read\n',
		);
		const reported = JSON.parse(await packSlowly(overwrite, 'skip-and-report')) as Record<string, string[]>;
		assert.deepEqual([reported.changed, reported.names], [['/in/busy'], ['in/', 'in/a', 'in/busy']]);
	});
});

describe('a stream that is given up', () => {
	async function openFiles(): Promise<number> {
		return (await readdir('/proc/self/fd')).length;
	}

	for (const how of ['abort', 'destroy'] as const) {
		test(`leaves no file open (${how})`, () =>
			inFolder(async (folder) => {
				await mkdir(join(folder, 'in'));
				await writeFile(join(folder, 'in/large'), sampleBytes(20_000_000));
				const before = await openFiles();
				for (let i = 0; i < 5; i++) {
					const controller = new AbortController();
					const opened = await packFiles({ name: 'test', now, paths: [join(folder, 'in')] }).open(
						controller.signal,
					);
					await once(opened.stream, 'data');
					opened.stream.pause();
					if (how === 'abort') controller.abort();
					else opened.stream.destroy();
					await finished(opened.stream).catch((error: Error) =>
						assert.match(error.name + error.message, /Abort|Premature/),
					);
				}
				for (let i = 0; i < 100 && (await openFiles()) > before; i++)
					await new Promise((resolve) => setTimeout(resolve, 10));
				assert.equal(await openFiles(), before);
			}));
	}
});

test('progress tells of each entry', () =>
	inFolder(async (folder) => {
		await makeFiles(folder, 'in/a', 'in/b/c');
		const seen: unknown[] = [];
		await pack({ paths: [join(folder, 'in')], onProgress: (progress) => seen.push(progress) });
		assert.deepEqual(seen, [
			{ step: 'in', bytes: 0, entries: 1 },
			{ step: 'in/a', bytes: 15, entries: 2 },
			{ step: 'in/b', bytes: 15, entries: 3 },
			{ step: 'in/b/c', bytes: 32, entries: 4 },
		]);
	}));

test('nothing is read before the artifact is opened, and each opening reads anew', () =>
	inFolder(async (folder) => {
		const artifact = packFiles({ name: 'late', now, paths: [join(folder, 'in')] });
		await makeFiles(folder, 'in/a');
		const first = await collect((await artifact.open()).stream);
		await makeFiles(folder, 'in/b');
		await rename(join(folder, 'in/a'), join(folder, 'in/c'));
		const second = await collect((await artifact.open()).stream);
		assert.deepEqual(
			[await names(first), await names(second)],
			[
				['in/', 'in/a'],
				['in/', 'in/b', 'in/c'],
			],
		);
	}));
