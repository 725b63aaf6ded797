import assert from 'node:assert/strict';
import {
	chmod,
	chown,
	link,
	lstat,
	mkdir,
	readdir,
	readFile,
	readlink,
	stat,
	symlink,
	utimes,
	writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';

import { extractFiles, type ExtractOptions } from '../../../lib/archive/extract';
import { runCommand } from '../../servers/process';

import { assertSameTree, describeTree, failsWith, inFolder, sampleBytes, streamOf } from './helpers';
import { rawEntry, rawTar, type RawEntry } from './raw-tar';

const isRoot = process.getuid!() === 0;

const child = [process.execPath, '--import', 'tsx', join(__dirname, 'extract-child.ts')];

/** As an ordinary user, whoever runs the tests. */
const asUser = isRoot ? ['setpriv', '--clear-groups', '--reuid=65534', '--regid=65534'] : [];

const simple = rawTar(
	{ name: 'docs/', type: '5', mode: 0o755 },
	{ name: 'docs/a.txt', body: 'new a', mode: 0o640 },
	{ name: 'docs/sub/', type: '5', mode: 0o700 },
	{ name: 'docs/sub/b.txt', body: 'new b' },
	{ name: 'docs/link', type: '2', linkName: 'a.txt' },
	{ name: 'top', body: 'new top' },
);

async function extract(target: string, bytes = simple, options?: ExtractOptions) {
	return await extractFiles(streamOf(bytes, 700), target, options);
}

/** Unpacks while the kernel answers system calls with an error, and returns what is printed. */
async function withFaults(
	folder: string,
	calls: string,
	fault: string,
	args: readonly string[],
): Promise<string> {
	const trace = join(folder, 'trace');
	const inject = ['-e', `trace=${calls}`, '-e', `inject=${calls}:error=${fault}`];
	// strace counts the calls of each thread for itself.
	const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
	const output = await runCommand('strace', ['-f', '-o', trace, ...inject, ...child, ...args], { env });
	assert.match(await readFile(trace, 'utf8'), /INJECTED/);
	return output;
}

describe('the target', () => {
	test('is made with the folders above it', () =>
		inFolder(async (folder) => {
			const report = await extract(join(folder, 'x/y/z'));
			assert.deepEqual(report, { files: 3, folders: 2, links: 1, bytes: 17, skipped: [], skippedCount: 0 });
			assert.deepEqual((await readdir(join(folder, 'x/y/z'))).sort(), ['docs', 'top']);
			assert.equal(await readFile(join(folder, 'x/y/z/docs/link'), 'utf8'), 'new a');
			assert.equal((await stat(join(folder, 'x/y'))).mode & 0o777, 0o700);
		}));

	test('keeps its own permissions when it is there', () =>
		inFolder(async (folder) => {
			await mkdir(join(folder, 'out'), { mode: 0o750 });
			await extract(
				join(folder, 'out'),
				rawTar({ name: './', type: '5', mode: 0o777 }, { name: './a', body: 'x' }),
			);
			assert.equal((await stat(join(folder, 'out'))).mode & 0o777, 0o750);
		}));

	test('may be a link to a folder', () =>
		inFolder(async (folder) => {
			await mkdir(join(folder, 'real'));
			await symlink('real', join(folder, 'out'));
			await extract(join(folder, 'out'));
			assert.deepEqual((await readdir(join(folder, 'real'))).sort(), ['docs', 'top']);
		}));

	test('that is a file, or not absolute, is refused', () =>
		inFolder(async (folder) => {
			await writeFile(join(folder, 'file'), 'x');
			await assert.rejects(extract(join(folder, 'file')), failsWith('ALREADY_EXISTS'));
			await assert.rejects(extract('out'), failsWith('INVALID_PATH'));
		}));

	test('that holds anything is refused, unless told otherwise', () =>
		inFolder(async (folder) => {
			await writeFile(join(folder, 'mine'), 'x');
			const source = streamOf(simple);
			await assert.rejects(extractFiles(source, folder), failsWith('NOT_EMPTY', /mine/));
			assert.equal(source.destroyed, true);
			assert.deepEqual(await readdir(folder), ['mine']);
		}));

	test('that holds what an interrupted restore left says so', () =>
		inFolder(async (folder) => {
			await mkdir(join(folder, '.lifeboat-restore-abc'));
			await assert.rejects(extract(folder), (error: Error & { hint?: string }) => {
				assert.match(error.hint!, /left by a restore that was interrupted/);
				return failsWith('NOT_EMPTY')(error);
			});
		}));

	test('that the rules on access forbid is not made', () =>
		inFolder(async (folder) => {
			const assertAllowed = async () => Promise.reject(new Error('not there'));
			await assert.rejects(extract(join(folder, 'out'), simple, { assertAllowed }), /not there/);
			assert.deepEqual(await readdir(folder), []);
		}));
});

describe('what is there already', () => {
	async function withExisting(run: (target: string, outside: string) => Promise<void>): Promise<void> {
		await inFolder(async (folder) => {
			const target = join(folder, 'out');
			await mkdir(join(target, 'docs/sub'), { recursive: true });
			await writeFile(join(target, 'docs/a.txt'), 'old a', { mode: 0o600 });
			await writeFile(join(target, 'docs/mine.txt'), 'mine');
			await mkdir(join(folder, 'outside'));
			await writeFile(join(folder, 'outside/top'), 'outside');
			await symlink('../outside/top', join(target, 'top'));
			await chmod(join(target, 'docs/sub'), 0o711);
			await utimes(join(target, 'docs/sub'), 1e9, 1e9);
			await run(target, join(folder, 'outside'));
			assert.equal(await readFile(join(folder, 'outside/top'), 'utf8'), 'outside');
			assert.deepEqual(
				(await readdir(target)).filter((name) => name.startsWith('.')),
				[],
			);
		});
	}

	test('is replaced file by file; what the archive does not have stays', () =>
		withExisting(async (target) => {
			await extract(target, simple, { ifExists: 'replace' });
			assert.equal(await readFile(join(target, 'docs/a.txt'), 'utf8'), 'new a');
			assert.equal((await stat(join(target, 'docs/a.txt'))).mode & 0o777, 0o640);
			assert.equal(await readFile(join(target, 'docs/mine.txt'), 'utf8'), 'mine');
			assert.equal((await lstat(join(target, 'top'))).isFile(), true);
			const sub = await stat(join(target, 'docs/sub'));
			assert.deepEqual([sub.mode & 0o777, sub.mtimeMs], [0o700, 1.7e12]);
		}));

	test('is kept; what is missing is added', () =>
		withExisting(async (target) => {
			const report = await extract(target, simple, { ifExists: 'keep' });
			assert.equal(await readFile(join(target, 'docs/a.txt'), 'utf8'), 'old a');
			assert.equal(await readFile(join(target, 'docs/sub/b.txt'), 'utf8'), 'new b');
			assert.equal(await readlink(join(target, 'top')), '../outside/top');
			assert.equal((await stat(join(target, 'docs/sub'))).mode & 0o777, 0o711);
			assert.deepEqual([report.files, report.links, report.skippedCount], [1, 1, 2]);
			assert.deepEqual(report.skipped.map(({ path }) => path).sort(), ['docs/a.txt', 'top']);
		}));

	const conflicts: [string, RawEntry[]][] = [
		['a folder where the archive has a file', [{ name: 'docs', body: 'x' }]],
		['a folder where the archive has a link', [{ name: 'docs/sub', type: '2', linkName: 'x' }]],
		['a file where the archive has a folder', [{ name: 'docs/a.txt/', type: '5' }]],
		['a file where the archive has a folder with something in it', [{ name: 'docs/a.txt/b', body: 'x' }]],
		['a link where the archive has a folder', [{ name: 'top/', type: '5' }]],
		['a link where the archive has a folder with something in it', [{ name: 'top/b', body: 'x' }]],
	];
	for (const [what, entries] of conflicts) {
		for (const ifExists of ['replace', 'keep'] as const) {
			test(`of another kind changes nothing: ${what} (${ifExists})`, () =>
				withExisting(async (target) => {
					const before = await describeTree(target);
					// One that could be moved comes before in every order.
					const bytes = rawTar({ name: '0', body: 'x' }, ...entries, { name: 'zz', body: 'x' });
					await assert.rejects(
						extract(target, bytes, { ifExists }),
						failsWith('TARGET_CONFLICT', / in the backup$/),
					);
					assertSameTree(await describeTree(target), before, 0n);
				}));
		}
	}

	test('is not written through, be it a link to a folder elsewhere', () =>
		withExisting(async (target, outside) => {
			await symlink(outside, join(target, 'elsewhere'));
			const bytes = rawTar({ name: 'elsewhere/top', body: 'overwritten' });
			await assert.rejects(
				extract(target, bytes, { ifExists: 'replace' }),
				failsWith('TARGET_CONFLICT', /elsewhere is a link/),
			);
		}));

	test('does not change with the file that takes its name: other names of it stay', () =>
		withExisting(async (target) => {
			await link(join(target, 'docs/a.txt'), join(target, 'docs/same'));
			await extract(target, simple, { ifExists: 'replace' });
			assert.equal(await readFile(join(target, 'docs/same'), 'utf8'), 'old a');
		}));
});

describe('a failure leaves the target as it was', () => {
	const large = rawTar({ name: 'docs/a.txt', body: sampleBytes(3_000_000) }, { name: 'docs/z', body: 'z' });

	for (const ifExists of ['stop', 'replace'] as const) {
		test(`when the archive is cut short (${ifExists})`, () =>
			inFolder(async (folder) => {
				const target = join(folder, 'a/b');
				if (ifExists === 'replace') {
					await mkdir(join(target, 'docs'), { recursive: true });
					await writeFile(join(target, 'docs/a.txt'), 'old');
				}
				const before = await describeTree(folder);
				for (const length of [0, 600, 1_000_000, large.length - 1024, large.length - 512]) {
					const cut = large.subarray(0, length);
					await assert.rejects(extract(target, cut, { ifExists }), failsWith('INCOMPLETE'));
					assertSameTree(await describeTree(folder), before, ifExists === 'stop' ? 0n : 10n ** 18n);
				}
			}));

		test(`when what the source fails with comes last of all (${ifExists})`, () =>
			inFolder(async (folder) => {
				async function* bytes() {
					yield large;
					// Such as a checksum that differs, known only at the end.
					throw new Error('checksum differs');
				}
				await assert.rejects(
					extractFiles(Readable.from(bytes()), join(folder, 'out'), { ifExists }),
					/checksum differs/,
				);
				assert.deepEqual(await readdir(folder), []);
			}));

		test(`when it is aborted (${ifExists})`, () =>
			inFolder(async (folder) => {
				for (const at of ['docs/a.txt', 'docs/z']) {
					const controller = new AbortController();
					const onProgress = ({ step }: { step: string }) => {
						if (step === at) controller.abort();
					};
					const options = { ifExists, signal: controller.signal, onProgress };
					await assert.rejects(extract(join(folder, 'out'), large, options), { name: 'AbortError' });
					assert.deepEqual(await readdir(folder), []);
				}
			}));
	}

	test('when the source hangs, and is aborted', () =>
		inFolder(async (folder) => {
			const source = new Readable({ read() {} });
			source.push(large.subarray(0, 5000));
			const controller = new AbortController();
			const extraction = extractFiles(source, join(folder, 'out'), { signal: controller.signal });
			setTimeout(() => controller.abort(), 50);
			await assert.rejects(extraction, { name: 'AbortError' });
			assert.deepEqual(await readdir(folder), []);
		}));

	test('when the source failed before it was read', () =>
		inFolder(async (folder) => {
			const source = new Readable({ read() {} });
			source.on('error', () => {});
			source.destroy(new Error('connection lost'));
			await new Promise((resolve) => source.once('close', resolve));
			await assert.rejects(extractFiles(source, join(folder, 'out')), /connection lost/);
			assert.deepEqual(await readdir(folder), []);
		}));

	test('when the disk fills up', () =>
		inFolder(async (folder) => {
			const tar = join(folder, 'large.tar');
			// Each of a size that is not asked about beforehand.
			const files = Array.from({ length: 8 }, (_, i) => ({ name: `docs/${i}`, body: sampleBytes(900_000) }));
			await writeFile(tar, rawTar(...files));
			await mkdir(join(folder, 'disk'));
			const disk = join(folder, 'disk');
			// A file system of 4 MB of its own, in a mount namespace of its own.
			const script = `mount -t tmpfs -o size=4m tmpfs '${disk}'; mkdir '${disk}/out'; echo kept > '${disk}/out/0'; "$@"; cd '${disk}'; find . | sort; df --output=used . | tail -1`;
			const run = async (options: ExtractOptions) =>
				(
					await runCommand('unshare', [
						'-rm',
						'sh',
						'-ec',
						script,
						'sh',
						...child,
						tar,
						join(disk, 'out'),
						JSON.stringify(options),
					])
				).split('\n');
			const [error, ...rest] = await run({ ifExists: 'replace', restoreOwners: false });
			assert.match(error!, /^DISK_FULL: No space left while writing .*disk\/out\/docs\/4/);
			assert.deepEqual(
				rest.map((line) => line.trim()),
				['.', './out', './out/0', '4', ''],
			);
			const [early] = await run({ ifExists: 'replace', restoreOwners: false, expectedBytes: 7_200_000 });
			assert.match(early!, /^DISK_FULL: Not enough space in .*: 8 MB are needed, [45] MB are free/);
		}));

	test('when any single move into place fails', () =>
		inFolder(async (folder) => {
			const tar = join(folder, 'a.tar');
			await writeFile(
				tar,
				rawTar(
					{ name: '1', body: 'new' },
					{ name: '2/3', body: 'new' },
					{ name: '4', type: '2', linkName: '1' },
					{ name: '5/', type: '5' },
				),
			);
			const target = join(folder, 'out');
			await mkdir(join(target, '2'), { recursive: true });
			for (const name of ['1', '2/3', '2/mine', '4']) await writeFile(join(target, name), 'old');
			const before = await describeTree(target);
			const replace = [tar, target, '{"ifExists":"replace"}'];
			for (let nth = 1; nth <= 4; nth++) {
				const output = await withFaults(folder, 'rename,renameat,renameat2', `EIO:when=${nth}`, replace);
				assert.match(output, /^WRITE_FAILED: .* could not be written: i\/o error/i);
				const after = await describeTree(target);
				assertSameTree(after, before, 10n ** 18n);
				assert.equal(after['1']!.time, before['1']!.time);
			}
			// Where undoing fails as well, everything is still there and the message says where.
			const output = await withFaults(folder, 'rename,renameat,renameat2', 'EIO:when=3+', replace);
			assert.match(output, /^ROLLBACK_FAILED: .*: The files that were replaced are in \S+\/replaced, /);
			const replaced = /are in (\S+),/.exec(output)![1]!;
			const kept = await readdir(replaced, { recursive: true });
			assert.ok(kept.length > 0);
			for (const name of kept.filter((name) => name !== '2'))
				assert.equal(await readFile(join(replaced, name), 'utf8'), 'old');
		}));

	test('when a file can not be written as the rules on access forbid it', () =>
		inFolder(async (folder) => {
			const assertAllowed = async (path: string) => {
				if (path.endsWith('b.txt')) throw new Error('forbidden');
			};
			await assert.rejects(extract(join(folder, 'out'), simple, { assertAllowed }), /forbidden/);
			assert.deepEqual(await readdir(folder), []);
		}));

	test('when a limit is exceeded', () =>
		inFolder(async (folder) => {
			for (const limits of [{ maxBytes: 16 }, { maxEntries: 5 }]) {
				await assert.rejects(extract(join(folder, 'out'), simple, { limits }), failsWith('LIMIT_EXCEEDED'));
			}
			assert.deepEqual(await readdir(folder), []);
			await extract(join(folder, 'out'), simple, { limits: { maxBytes: 17, maxEntries: 6 } });
		}));
});

describe('a part of an archive', () => {
	test('is chosen by globs over names, a folder with all it holds', () =>
		inFolder(async (folder) => {
			const chosen = async (...include: string[]) => {
				const target = join(folder, include.join('+').replaceAll('/', '_'));
				await extract(target, simple, { include });
				return Object.keys(await describeTree(target));
			};
			assert.deepEqual(await chosen('docs/sub'), ['docs', 'docs/sub', 'docs/sub/b.txt']);
			assert.deepEqual(await chosen('**/*.txt', './top'), [
				'docs',
				'docs/a.txt',
				'docs/sub',
				'docs/sub/b.txt',
				'top',
			]);
			assert.deepEqual(await chosen('*'), [
				'docs',
				'docs/a.txt',
				'docs/link',
				'docs/sub',
				'docs/sub/b.txt',
				'top',
			]);
			assert.deepEqual(await chosen('docs/*.txt'), ['docs', 'docs/a.txt']);
		}));

	test('that is nothing fails', () =>
		inFolder(async (folder) => {
			await assert.rejects(
				extract(join(folder, 'out'), simple, { include: ['*.sql'] }),
				failsWith('NOTHING_TO_RESTORE'),
			);
			await assert.rejects(extract(join(folder, 'out'), rawTar()), failsWith('NOTHING_TO_RESTORE'));
			// One of several, too: what was asked for would be missing without a word.
			await assert.rejects(
				extract(join(folder, 'out'), simple, { include: ['docs', 'docs/typo.txt', '**/*.txt'] }),
				failsWith('NOTHING_TO_RESTORE', /matches "docs\/typo\.txt"/),
			);
			assert.deepEqual(await readdir(folder), []);
		}));

	test('that has a second name without the file fails, and says which file', () =>
		inFolder(async (folder) => {
			const bytes = rawTar({ name: 'a', body: 'x' }, { name: 'b', type: '1', linkName: 'a' });
			await assert.rejects(
				extract(join(folder, 'out'), bytes, { include: ['b'] }),
				failsWith('LINK_TARGET_MISSING', /"b".*"a"/),
			);
			await extract(join(folder, 'out'), bytes, { include: ['a', 'b'] });
			assert.equal((await stat(join(folder, 'out/b'))).nlink, 2);
		}));
});

describe('owners, permissions and times', () => {
	test('are restored; bits that lend rights are not, and that is told', () =>
		inFolder(async (folder) => {
			const target = join(folder, 'out');
			const report = await extract(
				target,
				rawTar(
					{ name: 'dir/', type: '5', mode: 0o3751, mtime: 1e9 },
					{ name: 'dir/suid', body: 'x', mode: 0o6755, mtime: 1.1e9 },
					{ name: 'dir/sub/', type: '5', mode: 0o1777, mtime: 1.2e9 },
				),
			);
			const of = async (name: string) => {
				const { mode, mtimeMs } = await lstat(join(target, name));
				return [(mode & 0o7777).toString(8), mtimeMs / 1000];
			};
			assert.deepEqual(await of('dir'), ['1751', 1e9]);
			assert.deepEqual(await of('dir/suid'), ['755', 1.1e9]);
			assert.deepEqual(await of('dir/sub'), ['1777', 1.2e9]);
			assert.deepEqual(
				report.skipped.map(({ path }) => path),
				['dir/', 'dir/suid'].map((name) => name.replace(/\/$/, '')),
			);
			assert.match(report.skipped[0]!.reason, /set-user-ID/);
		}));

	test('that close a folder to its owner do not keep it from being filled, whoever restores', () =>
		inFolder(async (folder) => {
			await chmod(folder, 0o755);
			const tar = join(folder, 'a.tar');
			await writeFile(
				tar,
				rawTar(
					{ name: 'closed/', type: '5', mode: 0, mtime: 1e9 },
					{ name: 'closed/in/', type: '5', mode: 0o500, mtime: 1.1e9 },
					{ name: 'closed/in/file', body: 'x', mode: 0 },
					{ name: 'closed/link', type: '2', linkName: 'in/file' },
				),
			);
			await mkdir(join(folder, 'out'));
			if (isRoot) await chown(join(folder, 'out'), 65534, 65534);
			const [program = '', ...args] = [...asUser, ...child, tar, join(folder, 'out'), '{}'];
			const report = JSON.parse(await runCommand(program, args)) as { files: number; skipped: unknown[] };
			assert.deepEqual([report.files, report.skipped], [1, []]);
			const closed = await lstat(join(folder, 'out/closed'));
			assert.deepEqual([closed.mode & 0o777, closed.mtimeMs], [0, 1e12]);
			// An ordinary user's own clean-up needs its way back in.
			await chmod(join(folder, 'out/closed'), 0o700);
			const inner = await lstat(join(folder, 'out/closed/in'));
			assert.deepEqual([inner.mode & 0o777, inner.mtimeMs], [0o500, 1.1e12]);
			await chmod(join(folder, 'out/closed/in'), 0o700);
		}));

	test('owners are restored by root only, unless told otherwise', () =>
		inFolder(async (folder) => {
			const bytes = rawTar(
				{ name: 'd/', type: '5', mode: 0o755, uid: 1234, gid: 2345 },
				{ name: 'd/f', uid: 1234, gid: 2345 },
				{ name: 'd/l', type: '2', linkName: 'f', uid: 1234, gid: 2345 },
			);
			const owners = async (target: string) =>
				Promise.all(['d', 'd/f', 'd/l'].map(async (name) => (await lstat(join(target, name))).uid));
			const me = process.getuid!();
			await extract(join(folder, 'default'), bytes);
			assert.deepEqual(await owners(join(folder, 'default')), Array(3).fill(isRoot ? 1234 : me));
			await extract(join(folder, 'mine'), bytes, { restoreOwners: false });
			assert.deepEqual(await owners(join(folder, 'mine')), Array(3).fill(me));
			const tar = join(folder, 'a.tar');
			await writeFile(tar, bytes);
			await chmod(folder, 0o755);
			const [program = '', ...args] = [...asUser, ...child, tar, '/tmp/never', '{"restoreOwners":true}'];
			assert.match(await runCommand(program, args), /^INVALID_OPTION: Owners can be restored by root only/);
		}));
});

describe('links that lead out of the target', () => {
	const bytes = rawTar(
		{ name: 'a', body: 'x' },
		{ name: 'in', type: '2', linkName: 'a' },
		{ name: 'd/up', type: '2', linkName: '../a' },
		{ name: 'out', type: '2', linkName: '/etc/passwd' },
	);

	test('are refused unless told otherwise, and the way out is named', () =>
		inFolder(async (folder) => {
			await assert.rejects(extract(join(folder, 'out'), bytes), (error: Error & { hint?: string }) => {
				assert.match(error.hint!, /leave such links out or to keep them/);
				return failsWith(
					'UNSAFE_ENTRY',
					/"out" is a link that leads out of the target folder, to "\/etc\/passwd"/,
				)(error);
			});
			assert.deepEqual(await readdir(folder), []);
		}));

	test('are left out and told of', () =>
		inFolder(async (folder) => {
			const report = await extract(join(folder, 'out'), bytes, { outsideLinks: 'skip' });
			assert.deepEqual(
				report.skipped.map(({ path }) => path),
				['out'],
			);
			assert.deepEqual((await readdir(join(folder, 'out'))).sort(), ['a', 'd', 'in']);
		}));

	test('are created as they are', () =>
		inFolder(async (folder) => {
			await extract(join(folder, 'out'), bytes, { outsideLinks: 'keep' });
			assert.equal(await readlink(join(folder, 'out/out')), '/etc/passwd');
		}));

	test('do not, if they are absolute and lead into it', () =>
		inFolder(async (folder) => {
			const target = join(folder, 'out');
			await extract(
				target,
				rawTar({ name: 'a', body: 'x' }, { name: 'd/l', type: '2', linkName: join(target, 'a') }),
			);
			assert.equal(await readFile(join(target, 'd/l'), 'utf8'), 'x');
		}));
});

test('an entry that comes again takes the place of the earlier one', () =>
	inFolder(async (folder) => {
		const target = join(folder, 'out');
		const report = await extract(
			target,
			rawTar(
				{ name: 'd/', type: '5', mode: 0o700 },
				{ name: 'd/f', body: 'old, longer' },
				{ name: 'd/second', type: '1', linkName: 'd/f' },
				{ name: 'd/l', type: '2', linkName: 'old' },
				{ name: 'd/', type: '5', mode: 0o711 },
				{ name: 'd/f', body: 'new' },
				{ name: 'd/l', type: '2', linkName: 'new' },
			),
		);
		assert.deepEqual([report.files, report.folders, report.links], [2, 1, 1]);
		assert.equal(await readFile(join(target, 'd/f'), 'utf8'), 'new');
		assert.equal(await readFile(join(target, 'd/second'), 'utf8'), 'old, longer');
		assert.equal(await readlink(join(target, 'd/l')), 'new');
		assert.equal((await stat(join(target, 'd'))).mode & 0o777, 0o711);
	}));

test('an archive to which GNU tar appended a newer version gives the newer one', () =>
	inFolder(async (folder) => {
		await mkdir(join(folder, 'in'));
		await writeFile(join(folder, 'in/f'), 'old');
		const tar = join(folder, 'a.tar');
		await runCommand('tar', ['-cf', tar, '-C', folder, 'in']);
		await writeFile(join(folder, 'in/f'), 'new');
		await runCommand('tar', ['-rf', tar, '-C', folder, 'in/f']);
		await extract(join(folder, 'out'), await readFile(tar));
		assert.equal(await readFile(join(folder, 'out/in/f'), 'utf8'), 'new');
	}));

test('a second name of a link is the same link', () =>
	inFolder(async (folder) => {
		await mkdir(join(folder, 'in'));
		await symlink('x', join(folder, 'in/a'));
		await link(join(folder, 'in/a'), join(folder, 'in/b'));
		const tar = join(folder, 'a.tar');
		await runCommand('tar', ['-cf', tar, '-C', folder, 'in']);
		await extract(join(folder, 'out'), await readFile(tar));
		assert.deepEqual(
			[await readlink(join(folder, 'out/in/a')), await readlink(join(folder, 'out/in/b'))],
			['x', 'x'],
		);
	}));

test('a file system without hard links gets copies', () =>
	inFolder(async (folder) => {
		const tar = join(folder, 'a.tar');
		await writeFile(
			tar,
			rawTar(
				{ name: 'a', body: 'text', mode: 0o600 },
				{ name: 'b', type: '1', linkName: 'a', mode: 0o600, mtime: 1.7e9 },
			),
		);
		const output = await withFaults(folder, 'link,linkat', 'EPERM', [tar, join(folder, 'out'), '{}']);
		assert.equal((JSON.parse(output) as { files: number }).files, 2);
		const { nlink, mode, mtimeMs } = await stat(join(folder, 'out/b'));
		assert.deepEqual([nlink, mode & 0o777, mtimeMs], [1, 0o600, 1.7e12]);
		assert.equal(await readFile(join(folder, 'out/b'), 'utf8'), 'text');
	}));

test('progress tells of each entry', () =>
	inFolder(async (folder) => {
		const seen: unknown[] = [];
		await extract(join(folder, 'out'), simple, { onProgress: (progress) => seen.push(progress) });
		assert.deepEqual(seen.at(-1), { step: 'top', bytes: 17, entries: 6 });
	}));

test('an archive that tape records pad is taken, one that a block of garbage follows is not', () =>
	inFolder(async (folder) => {
		await extract(join(folder, 'padded'), Buffer.concat([simple, Buffer.alloc(10240)]));
		const followed = Buffer.concat([simple, rawEntry({ name: 'hidden', body: 'x' })]);
		await assert.rejects(extract(join(folder, 'followed'), followed), failsWith('DAMAGED'));
	}));
