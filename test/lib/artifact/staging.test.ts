import assert from 'node:assert/strict';
import {
	chmod,
	lutimes,
	mkdir,
	readdir,
	readFile,
	rm,
	stat,
	symlink,
	utimes,
	writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';

import type { Artifact } from '../../../lib/artifact/artifact';
import { parseManifestText } from '../../../lib/artifact/manifest';
import { produceArtifact } from '../../../lib/artifact/produce';
import { StagingFolder, sweepStaging } from '../../../lib/artifact/staging';
import { LifeboatError } from '../../../lib/errors';
import { runCommand } from '../../servers/process';
import { collect, failsWith, inFolder, now } from '../archive/helpers';

function artifactOf(
	source: () => AsyncIterable<Buffer>,
	finish: () => Promise<object> = async () => ({}),
): Artifact {
	const database = {
		type: 'database',
		engine: 'postgresql',
		serverVersion: '17.10',
		database: 'shop',
	} as const;
	return produceArtifact(
		{ name: 'shop', kind: 'database', format: 'plain-sql', source: database, now, extension: '.sql' },
		async () => ({ stream: Readable.from(source(), { objectMode: false }), finish }),
	);
}

async function* text() {
	yield Buffer.from('SELECT 1;\n');
}

async function mode(path: string): Promise<string> {
	return ((await stat(path)).mode & 0o777).toString(8);
}

describe('an artifact is staged', () => {
	test('under its own name with its manifest beside it, for nobody else to read', () =>
		inFolder(async (folder) => {
			const staging = new StagingFolder(join(folder, 'a/root'), '17');
			await staging.create();
			await staging.create();
			const staged = await staging.write(artifactOf(text));
			assert.match(
				staged.path,
				/\/a\/root\/lifeboat-execution-17\/[0-9a-f]{12}\/shop-20261121T020000Z\.sql$/,
			);
			assert.equal(await readFile(staged.path, 'utf8'), 'SELECT 1;\n');
			const manifest = parseManifestText(await readFile(`${staged.path}.manifest.json`, 'utf8'), 'manifest');
			assert.deepEqual(manifest, staged.manifest);
			assert.deepEqual((await collect((await staged.open()).stream)).toString(), 'SELECT 1;\n');
			for (const path of [join(folder, 'a/root'), staging.path, dirname(staged.path)])
				assert.equal(await mode(path), '700');
			for (const path of [staged.path, `${staged.path}.manifest.json`]) assert.equal(await mode(path), '600');
		}));

	test('and read again only as it was written', () =>
		inFolder(async (folder) => {
			const staging = new StagingFolder(folder, '1');
			await staging.create();
			const staged = await staging.write(artifactOf(text));
			await writeFile(staged.path, 'SELECT 2;\n');
			await assert.rejects(collect((await staged.open()).stream), failsWith('CHECKSUM_MISMATCH'));
		}));

	test('beside others of the same name', () =>
		inFolder(async (folder) => {
			const staging = new StagingFolder(folder, '1');
			await staging.create();
			const all = await Promise.all([1, 2, 3].map(async () => await staging.write(artifactOf(text))));
			assert.equal(new Set(all.map(({ path }) => path)).size, 3);
		}));
});

describe('a failure leaves nothing in the staging folder', () => {
	async function expectNothing(
		artifact: Artifact,
		expected: Parameters<typeof assert.rejects>[1],
		signal?: AbortSignal,
	) {
		await inFolder(async (folder) => {
			const staging = new StagingFolder(folder, '1');
			await staging.create();
			await assert.rejects(staging.write(artifact, signal), expected as RegExp);
			assert.deepEqual(await readdir(staging.path), []);
		});
	}

	test('when the source fails', () =>
		expectNothing(
			artifactOf(async function* () {
				yield* text();
				throw new Error('connection lost');
			}),
			/connection lost/,
		));

	test('when the artifact can not be opened', () =>
		expectNothing(
			{ ...artifactOf(text), open: async () => Promise.reject(new Error('no such table')) },
			/no such table/,
		));

	test('when the end tells that something is missing', () =>
		expectNothing(
			artifactOf(text, async () => {
				throw new LifeboatError('INCOMPLETE', 'The dump has no end', { hint: 'Try again' });
			}),
			failsWith('INCOMPLETE'),
		));

	test('when it is aborted, before or in the middle', async () => {
		await expectNothing(artifactOf(text), { name: 'AbortError' }, AbortSignal.abort());
		const controller = new AbortController();
		const hanging = artifactOf(async function* () {
			yield* text();
			setTimeout(() => controller.abort(), 20);
			await new Promise(() => {});
		});
		await expectNothing(hanging, { name: 'AbortError' }, controller.signal);
	});

	test('when the disk is full', () =>
		inFolder(async (folder) => {
			const script = `mount -t tmpfs -o size=1m tmpfs '${folder}'; "$@"; find '${folder}' -type f; echo end`;
			const child = [process.execPath, '--import', 'tsx', join(__dirname, 'staging-child.ts'), folder];
			const output = await runCommand('unshare', ['-rm', 'sh', '-ec', script, 'sh', ...child]);
			assert.match(output, /^DISK_FULL: No space left while writing .*shop-20261121T020000Z\.sql\nend\n$/);
		}));

	test('when its folder is gone, as after the end of the execution', () =>
		inFolder(async (folder) => {
			const staging = new StagingFolder(folder, '1');
			await staging.create();
			await staging.remove();
			await assert.rejects(staging.write(artifactOf(text)), failsWith('WRITE_FAILED'));
			assert.deepEqual(await readdir(folder), []);
		}));
});

describe('the folder of an execution', () => {
	test('is removed with all in it, once or twice', () =>
		inFolder(async (folder) => {
			const [one, other] = [new StagingFolder(folder, '1'), new StagingFolder(folder, '2')];
			for (const staging of [one, other]) {
				await staging.create();
				await staging.write(artifactOf(text));
			}
			await one.remove();
			await one.remove();
			assert.deepEqual(await readdir(folder), ['lifeboat-execution-2']);
		}));

	test('is one folder below the root, whatever the id', () =>
		inFolder(async (folder) => {
			for (const id of ['../../x', '', '.', 'a/b', 'x\0', 'ü', 'n'.repeat(300)]) {
				const staging = new StagingFolder(folder, id);
				assert.equal(dirname(staging.path), folder);
				await staging.create();
			}
			assert.equal((await readdir(folder)).length, 7);
		}));

	test('is not a link that somebody has put there', () =>
		inFolder(async (folder) => {
			await mkdir(join(folder, 'elsewhere'), { mode: 0o755 });
			await symlink('elsewhere', join(folder, 'lifeboat-execution-1'));
			await assert.rejects(new StagingFolder(folder, '1').create(), failsWith('TARGET_CONFLICT'));
			await writeFile(join(folder, 'lifeboat-execution-2'), '');
			await assert.rejects(new StagingFolder(folder, '2').create(), failsWith('ALREADY_EXISTS'));
			assert.equal(await mode(join(folder, 'elsewhere')), '755');
		}));

	test('that is open to others is closed', () =>
		inFolder(async (folder) => {
			const staging = new StagingFolder(folder, '1');
			await mkdir(staging.path);
			await chmod(staging.path, 0o777);
			await staging.create();
			assert.equal(await mode(staging.path), '700');
		}));
});

describe('a sweep', () => {
	const old = new Date('2026-11-19T00:00:00Z');
	const limit = new Date('2026-11-20T00:00:00Z');

	/** Makes everything in a folder old, from the leaves up. */
	async function age(path: string): Promise<void> {
		const entry = await stat(path);
		if (entry.isDirectory()) for (const name of await readdir(path)) await age(join(path, name));
		await utimes(path, old, old);
	}

	async function staged(root: string, id: string): Promise<string> {
		const staging = new StagingFolder(root, id);
		await staging.create();
		await staging.write(artifactOf(text));
		await age(staging.path);
		return staging.path;
	}

	test('removes what is old, and nothing that holds anything new', () =>
		inFolder(async (folder) => {
			const [leftover, dumping, fresh] = [
				await staged(folder, '1'),
				await staged(folder, '2'),
				await staged(folder, '3'),
			];
			// Of an execution that has been writing the same file for two days.
			const [inner] = await readdir(dumping);
			const [file] = await readdir(join(dumping, inner!));
			await utimes(join(dumping, inner!, file!), new Date(), new Date());
			await utimes(fresh, new Date(), new Date());
			assert.deepEqual(await sweepStaging(folder, limit), [leftover]);
			assert.deepEqual((await readdir(folder)).sort(), ['lifeboat-execution-2', 'lifeboat-execution-3']);
		}));

	test('leaves alone what is not ours', () =>
		inFolder(async (folder) => {
			await mkdir(join(folder, 'photos'));
			await writeFile(join(folder, 'lifeboat-execution-file'), '');
			await writeFile(join(folder, 'photos/a'), '');
			await age(folder);
			assert.deepEqual(await sweepStaging(folder, limit), []);
			assert.deepEqual((await readdir(folder)).sort(), ['lifeboat-execution-file', 'photos']);
		}));

	test('does not follow links, neither as folders of ours nor in them', () =>
		inFolder(async (folder) => {
			const root = join(folder, 'root');
			const leftover = await staged(root, '1');
			await mkdir(join(folder, 'precious'));
			await writeFile(join(folder, 'precious/a'), 'x');
			await symlink('../precious', join(root, 'lifeboat-execution-9'));
			await symlink('../../precious', join(leftover, 'link'));
			await lutimes(join(root, 'lifeboat-execution-9'), old, old);
			await lutimes(join(leftover, 'link'), old, old);
			await utimes(leftover, old, old);
			await age(join(folder, 'precious'));
			assert.deepEqual(await sweepStaging(root, limit), [leftover]);
			assert.deepEqual(await readdir(join(folder, 'precious')), ['a']);
			assert.deepEqual(await readdir(root), ['lifeboat-execution-9']);
			await rm(join(root, 'lifeboat-execution-9'));
		}));

	test('of a root that is not there finds nothing', () =>
		inFolder(async (folder) => assert.deepEqual(await sweepStaging(join(folder, 'missing'), limit), [])));
});
