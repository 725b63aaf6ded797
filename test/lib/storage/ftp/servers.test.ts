import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';

import type { LifeboatError } from '../../../../lib/errors';
import { parseFacts, parseTime } from '../../../../lib/storage/ftp/facts';
import { ftpStorage, type FtpSettings } from '../../../../lib/storage/ftp/ftp-storage';
import type { Storage } from '../../../../lib/storage/storage';
import { startProftpd, type ProftpdOptions, type ProftpdServer } from '../../../servers/proftpd';
import { code, inChunks, keysOf } from '../conformance';

/** Runs something with a server of its own. */
async function withServer(
	options: ProftpdOptions,
	run: (open: (change?: Partial<FtpSettings>) => Storage, server: ProftpdServer) => Promise<void>,
): Promise<void> {
	const server = await startProftpd(options);
	const opened: Storage[] = [];
	try {
		const security = options.speaks === 'implicit-tls' ? 'implicit' : options.speaks ? 'explicit' : 'none';
		await run((change = {}) => {
			const storage = ftpStorage({ ...server.access(security), folder: '', patience: 0, ...change });
			opened.push(storage);
			return storage;
		}, server);
	} finally {
		for (const storage of opened) await storage.close();
		await server.stop();
	}
}

const content = randomBytes(3_000_000);

test('implicit TLS protects what travels', () =>
	withServer({ speaks: 'implicit-tls' }, async (open) => {
		const storage = open();
		for (const [key, bytes] of [
			['empty', content.subarray(0, 0)],
			['a/b', content],
		] as const) {
			await storage.put(key, inChunks(bytes));
			assert.ok(bytes.equals(await buffer(await storage.get(key))));
		}
		assert.deepEqual(await keysOf(storage, ''), ['a/b', 'empty']);
	}));

test('a server that does not know MLSD is listed whole, or not at all', () =>
	withServer({ settings: ['FactsAdvertise off'] }, async (open, server) => {
		const storage = open({ folder: '/backups' });
		const keys = ['.hidden', 'a b/c  d', 'a-b', 'größe/日本語', 'z'];
		for (const key of keys) await storage.put(key, inChunks(content.subarray(0, key.length)));
		assert.deepEqual(await keysOf(storage, ''), keys);
		assert.equal((await storage.stat('a b/c  d'))?.size, 8);
		assert.equal(await storage.stat('a b'), undefined);
		assert.equal(await storage.stat('missing'), undefined);
		await storage.delete('z');
		assert.deepEqual(await keysOf(storage, 'a'), ['a b/c  d', 'a-b']);
		// Nor does a name become another one that its list, made for human eyes, could be read as.
		await writeFile(join(server.folder, 'backups', '  two -> spaces'), 'x');
		assert.deepEqual(await keysOf(storage, ''), ['  two -> spaces', ...keys.slice(0, -1)]);
		assert.equal((await storage.stat('  two -> spaces'))?.size, 1);
		// Nothing tells how old a folder is: that of another run may be in use.
		await mkdir(join(server.folder, 'backups', '.lifeboat-0.claim'));
		await writeFile(join(server.folder, 'backups', '.lifeboat-1.part'), 'half');
		assert.equal(await storage.removeUnfinished('', new Date(Date.now() + 60_000)), 1);
		assert.ok((await readdir(join(server.folder, 'backups'))).includes('.lifeboat-0.claim'));
	}));

for (const facts of [true, false]) {
	const settings = facts ? [] : ['FactsAdvertise off'];
	test(`a folder that may not be read fails the list, ${facts ? 'with' : 'without'} MLSD`, async () => {
		const folder = await mkdtemp(join(tmpdir(), 'lifeboat-ftp-'));
		const deny = (name: string, commands: string) => [
			...[`<Directory ${folder}/${name}>`, `<Limit ${commands}>`, 'DenyAll', '</Limit>', '</Directory>'],
		];
		settings.push(...(facts ? deny('unlisted', 'MLSD') : []), ...deny('closed', 'CWD XCWD'));
		try {
			await withServer({ settings, folder }, async (open) => {
				// One connection: what it was refused must not change how it reads the next list.
				const storage = open({ connections: 1 });
				for (const key of ['closed/x', 'open/x', 'unlisted/x', 'z'])
					await mkdir(join(folder, key, '..'), { recursive: true }).then(() =>
						writeFile(join(folder, key), 'x'),
					);
				// The server doesn't even show them in the list of facts above.
				if (facts) {
					const unlisted = open({ folder: 'unlisted', connections: 1 });
					for (let i = 0; i < 2; i += 1) await assert.rejects(keysOf(unlisted, ''), code('STORAGE_FAILED'));
				} else {
					await assert.rejects(keysOf(storage, 'closed/'), code('ACCESS_DENIED'));
					await assert.rejects(keysOf(storage, ''), code('ACCESS_DENIED'));
				}
				await assert.rejects(keysOf(open({ folder: 'closed' }), ''), code('ACCESS_DENIED'));
				assert.deepEqual(await keysOf(storage, 'open/'), ['open/x']);
				assert.deepEqual(await keysOf(storage, 'z'), ['z']);
				assert.deepEqual(await keysOf(open({ folder: 'missing/folder' }), ''), []);
			});
		} finally {
			await rm(folder, { recursive: true });
		}
	});
}

test('logins, certificates and kinds of security that do not fit are told apart', () =>
	withServer({ speaks: 'explicit-tls' }, async (open, server) => {
		const fails = (change: Partial<FtpSettings>, expected: string, message: RegExp) =>
			assert.rejects(open(change).stat('x'), (error: LifeboatError) => {
				assert.match(error.message, message);
				assert.ok(!`${error.message} ${error.hint}`.includes('not-the-password'));
				return code(expected)(error);
			});
		await fails(
			{ password: 'not-the-password', patience: 60_000 },
			'ACCESS_DENIED',
			/does not let backup log in/,
		);
		await fails({ security: 'none' }, 'ACCESS_DENIED', /only lets backup log in over TLS/);
		await fails({ security: 'implicit', timeout: 1000 }, 'CONNECTION_FAILED', /./);
		await fails({ ca: '' }, 'CONNECTION_FAILED', /self-signed/);
		await fails({ host: 'no-such-host.invalid' }, 'CONNECTION_FAILED', /name of the server/);
		await fails({ port: 1 }, 'CONNECTION_FAILED', /nothing answers/);
		assert.equal(await open({ ca: '', ignoreTlsErrors: true }).stat('x'), undefined);
		const { host, port } = server;
		assert.throws(
			() => ftpStorage({ host, port, user: 'a\r\nDELE x', security: 'none', folder: '' }),
			code('INVALID_OPTION'),
		);
	}));

test('a server without TLS is not given a password in clear text unasked', () =>
	withServer({}, async (open) => {
		await assert.rejects(open({ security: 'explicit' }).stat('x'), (error: LifeboatError) => {
			assert.match(error.message, /does not offer explicit TLS/);
			return code('CONNECTION_FAILED')(error);
		});
	}));

test('what is in the way and what is too long is named', () =>
	withServer({}, async (open, server) => {
		const storage = open();
		await writeFile(join(server.folder, 'file'), 'x');
		await mkdir(join(server.folder, 'folder'));
		await assert.rejects(storage.put('file/below', inChunks(content)), code('INVALID_KEY'));
		await assert.rejects(storage.put('folder', inChunks(content)), code('ALREADY_EXISTS'));
		await assert.rejects(storage.put('x'.repeat(256), inChunks(content)), code('INVALID_KEY'));
		assert.deepEqual((await readdir(server.folder)).toSorted(), ['file', 'folder']);
	}));

test('facts are read as RFC 3659 writes them', () => {
	const line = 'Type=file;Size=12;Modify=20261121020304.5;Unique=a=b;UNIX.mode=0600;  a; b=c ';
	const facts = parseFacts(line);
	assert.deepEqual([facts?.name, facts?.kind, facts?.size], [' a; b=c ', 'file', 12]);
	assert.equal(facts?.modifiedAt.toISOString(), '2026-11-21T02:03:04.000Z');
	assert.equal(parseFacts('type=dir; x')?.kind, 'folder');
	assert.equal(parseFacts('type=OS.unix=slink:/x; x')?.kind, 'other');
	assert.equal(parseFacts('no facts'), undefined);
	assert.equal(parseTime('yesterday'), undefined);
});
