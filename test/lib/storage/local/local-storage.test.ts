import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
	mkdir,
	mkdtemp,
	readdir,
	readFile,
	rm,
	stat,
	statfs,
	symlink,
	truncate,
	writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';

import { localStorage } from '../../../../lib/storage/local/local-storage';
import { code, inChunks, keysOf } from '../conformance';

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-local-'));
	try {
		await run(folder);
	} finally {
		await rm(folder, { recursive: true });
	}
}

const some = () => Readable.from([Buffer.from('some')]);

test('files are for the user n8n runs as, and so are the folders it makes', () =>
	inFolder(async (folder) => {
		const storage = localStorage({ folder: join(folder, 'made', 'here') });
		assert.deepEqual(await keysOf(storage, ''), []);
		assert.equal(await storage.removeUnfinished('', new Date()), 0);
		await storage.put('a/b/c', some());
		const modes: Record<string, number> = {
			'made/here': 0o700,
			'made/here/a/b': 0o700,
			'made/here/a/b/c': 0o600,
		};
		for (const [path, mode] of Object.entries(modes)) {
			assert.equal((await stat(join(folder, path))).mode & 0o777, mode, path);
		}
	}));

test('symbolic links are not followed out of the folder, nor listed', () =>
	inFolder(async (outer) => {
		const folder = join(outer, 'backups');
		await mkdir(folder);
		await writeFile(join(outer, 'secret'), 'secret');
		await mkdir(join(outer, 'elsewhere'));
		await symlink(join(outer, 'secret'), join(folder, 'file'));
		await symlink(join(outer, 'elsewhere'), join(folder, 'sub'));
		await symlink(join(outer, 'nowhere'), join(folder, 'dangling'));
		const storage = localStorage({ folder });
		for (const key of ['file', 'dangling', 'sub/x']) {
			await assert.rejects(storage.get(key), code('ACCESS_DENIED'), key);
			await assert.rejects(storage.stat(key), code('ACCESS_DENIED'));
			await assert.rejects(storage.delete(key), code('ACCESS_DENIED'));
			for (const ifExists of ['fail', 'replace'] as const) {
				await assert.rejects(storage.put(key, some(), { ifExists }), code('ACCESS_DENIED'));
			}
		}
		assert.deepEqual(await keysOf(storage, ''), []);
		assert.deepEqual(await readdir(join(outer, 'elsewhere')), []);
		assert.equal(await readFile(join(outer, 'secret'), 'utf8'), 'secret');
		// The folder itself may be reached through one.
		await symlink(folder, join(outer, 'link'));
		const linked = localStorage({ folder: join(outer, 'link') });
		await linked.put('through', some());
		assert.deepEqual(await keysOf(linked, ''), ['through']);
	}));

test('every path is asked for before it is touched', () =>
	inFolder(async (folder) => {
		const asked: string[] = [];
		const refusal = new Error('not in N8N_RESTRICT_FILE_ACCESS_TO');
		const storage = localStorage({
			folder,
			assertAllowed: async (path) => {
				asked.push(relative(folder, path));
				if (path.includes('forbidden')) throw refusal;
			},
		});
		await storage.put('allowed/a', some());
		assert.ok(asked.includes('allowed/a'));
		await mkdir(join(folder, 'forbidden'));
		await writeFile(join(folder, 'forbidden/a'), 'x');
		const refused = (error: unknown) => error === refusal;
		await assert.rejects(storage.put('forbidden/new', some()), refused);
		await assert.rejects(storage.get('forbidden/a'), refused);
		await assert.rejects(storage.stat('forbidden/a'), refused);
		await assert.rejects(storage.delete('forbidden/a'), refused);
		await assert.rejects(keysOf(storage, ''), refused);
		await assert.rejects(storage.removeUnfinished('', new Date()), refused);
		assert.deepEqual(await readdir(join(folder, 'forbidden')), ['a']);
		assert.deepEqual(await keysOf(storage, 'allowed/'), ['allowed/a']);
	}));

test('a file that shrinks or grows while it is read fails the download', () =>
	inFolder(async (folder) => {
		const storage = localStorage({ folder });
		for (const size of [1_000_000, 3_000_000]) {
			await storage.put('object', inChunks(randomBytes(2_000_000)), { ifExists: 'replace' });
			const stream = await storage.get('object');
			await truncate(join(folder, 'object'), size);
			if (size < 2_000_000) await assert.rejects(buffer(stream), code('INCOMPLETE'));
			else assert.equal((await buffer(stream)).length, 2_000_000);
		}
	}));

test('a file in the way of a folder is named', () =>
	inFolder(async (folder) => {
		const storage = localStorage({ folder });
		await storage.put('a', some());
		await assert.rejects(storage.put('a/b', some()), code('INVALID_KEY'));
		assert.equal(await storage.stat('a/b'), undefined);
		await assert.rejects(storage.get('a/b'), code('NOT_FOUND'));
		await storage.delete('a/b');
		await assert.rejects(storage.put('x'.repeat(300), some()), code('INVALID_KEY'));
		assert.deepEqual(await keysOf(storage, ''), ['a']);
	}));

test('what is larger than the free space is refused before anything is written', () =>
	inFolder(async (folder) => {
		const source = some();
		const put = localStorage({ folder }).put('big/one', source, { size: 2 ** 52 });
		await assert.rejects(put, code('DISK_FULL'));
		assert.ok(source.destroyed);
		assert.deepEqual(await readdir(join(folder, 'big')), []);
	}));

test('tells how much room is left, and that a folder is not there', () =>
	inFolder(async (folder) => {
		const space = await localStorage({ folder }).space?.();
		const { bavail, bsize, blocks } = await statfs(folder);
		assert.equal(space?.totalBytes, blocks * bsize);
		assert.ok(Math.abs(space.freeBytes - bavail * bsize) < space.totalBytes / 10);
		const away = localStorage({ folder: join(folder, 'away') });
		await assert.rejects(async () => away.space?.(), code('NOT_FOUND'));
	}));
