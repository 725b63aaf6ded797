import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';

import type { LifeboatError } from '../../../../lib/errors';
import { fingerprintOf, parseFingerprints } from '../../../../lib/storage/sftp/host-key';
import { sftpStorage, type SftpSettings } from '../../../../lib/storage/sftp/sftp-storage';
import { runCommand } from '../../../servers/process';
import { startProftpd } from '../../../servers/proftpd';
import { startSshd, type SshServer } from '../../../servers/sshd';
import { startTcpProxy } from '../../../servers/tcp-proxy';
import { code, inChunks, keysOf } from '../conformance';

let server: SshServer;
before(async () => {
	server = await startSshd();
});
after(() => server.stop());

/** What a storage with these settings answers to the simplest question. */
async function ask(change: Partial<SftpSettings>): Promise<void> {
	const storage = sftpStorage({ ...server.storage('x'), patience: 0, ...change });
	try {
		await storage.stat('key');
	} finally {
		await storage.close();
	}
}

const fails = (expected: string, message: RegExp) => (error: LifeboatError) => {
	assert.match(error.message, message);
	return code(expected)(error);
};

test('fingerprints are read as ssh-keygen prints them', async () => {
	const hash = 'uNiVztksCsDhcc0u9e8BrRhwUYYyVCvjwzdvCFwAGNs';
	for (const text of [
		hash,
		`${hash}=`,
		`SHA256:${hash}`,
		` SHA256:${hash}\n`,
		`256 SHA256:${hash} root@host (ED25519)`,
	]) {
		assert.deepEqual(parseFingerprints(text), [`SHA256:${hash}`]);
	}
	assert.equal(parseFingerprints(`SHA256:${hash}, ${server.hostKeyFingerprint}`).length, 2);
	assert.deepEqual(parseFingerprints(' '), []);
	for (const text of ['SHA256:short', 'MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48', 'yes']) {
		assert.throws(() => parseFingerprints(text), code('INVALID_OPTION'));
	}
	assert.match(fingerprintOf(Buffer.from('key')), /^SHA256:[A-Za-z0-9+/]{43}$/);
});

test('a host key is taken only if it is the right one, or told if none was given', async () => {
	const other = `SHA256:${'A'.repeat(43)}`;
	const seen: string[] = [];
	await ask({ onUnverifiedHostKey: (fingerprint) => seen.push(fingerprint) });
	await ask({ hostKeyFingerprint: `${other} ${server.hostKeyFingerprint}` });
	assert.equal(seen.length, 0);
	await ask({ hostKeyFingerprint: '', onUnverifiedHostKey: (fingerprint) => seen.push(fingerprint) });
	assert.deepEqual(seen, [server.hostKeyFingerprint]);
	// One that is wrong is not tried again, however patient one is.
	const before = Date.now();
	const wrong = ask({ hostKeyFingerprint: other, patience: 60_000 });
	await assert.rejects(
		wrong,
		fails('CONNECTION_FAILED', /host key of 127\.0\.0\.1:\d+ is SHA256:.*, not SHA256:AAAA/),
	);
	assert.ok(Date.now() - before < 10_000);
});

test('private keys: encrypted, of other kinds, and what is wrong with them', async () => {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-keys-'));
	try {
		const make = async (name: string, ...args: string[]) => {
			const path = join(folder, name);
			await runCommand('ssh-keygen', ['-q', '-f', path, ...args]);
			await server.allow(await readFile(`${path}.pub`, 'utf8'));
			return await readFile(path, 'utf8');
		};
		const encrypted = await make('encrypted', '-t', 'ed25519', '-N', 'open sesame');
		await ask({ privateKey: encrypted, passphrase: 'open sesame' });
		for (const passphrase of ['', 'wrong']) {
			await assert.rejects(
				ask({ privateKey: encrypted, passphrase }),
				fails('ACCESS_DENIED', /passphrase is missing or wrong/),
			);
		}
		const pem = await make('pem', '-t', 'rsa', '-b', '2048', '-m', 'PEM', '-N', 'open sesame');
		assert.match(pem, /Proc-Type/);
		await ask({ privateKey: pem, passphrase: 'open sesame' });
		await assert.rejects(ask({ privateKey: 'nonsense' }), fails('ACCESS_DENIED', /can not be read/));
		await runCommand('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'stranger')]);
		const stranger = await readFile(join(folder, 'stranger'), 'utf8');
		await assert.rejects(
			ask({ privateKey: stranger, patience: 60_000 }),
			fails('ACCESS_DENIED', /does not let .* log in/),
		);
	} finally {
		await rm(folder, { recursive: true });
	}
});

test('passwords, and a server without SFTP', async () => {
	const proftpd = await startProftpd({ speaks: 'sftp' });
	try {
		const { host, port, user, password } = proftpd;
		const access: SftpSettings = { host, port, username: user, password, folder: '/' };
		const storage = sftpStorage(access);
		assert.deepEqual(await keysOf(storage, ''), []);
		await storage.close();
		const wrong = sftpStorage({ ...access, password: 'not-the-password' });
		await assert.rejects(wrong.stat('x'), (error: LifeboatError) => {
			assert.ok(!JSON.stringify([error.message, error.hint]).includes('not-the-password'));
			return fails('ACCESS_DENIED', /does not let backup log in/)(error);
		});
		await wrong.close();
	} finally {
		await proftpd.stop();
	}
	const plain = await startSshd({ withoutSftp: true });
	const storage = sftpStorage(plain.storage('x'));
	await assert.rejects(storage.stat('x'), fails('STORAGE_FAILED', /offers no SFTP/));
	await storage.close();
	await plain.stop();
});

test('nobody there, somebody else there, somebody who never says a word', async () => {
	await assert.rejects(ask({ port: 1 }), fails('CONNECTION_FAILED', /nothing answers/));
	await assert.rejects(
		ask({ host: 'no-such-host.invalid' }),
		fails('CONNECTION_FAILED', /name of the server/),
	);
	const silent = await startTcpProxy(server.port, { fault: () => 'stall' });
	await assert.rejects(
		ask({ port: silent.port, timeout: 500 }),
		fails('CONNECTION_FAILED', /did not answer in time/),
	);
	await silent.stop();
	assert.throws(() => sftpStorage({ ...server.storage('x'), host: ' ' }), code('INVALID_OPTION'));
});

test('what may not be written, what is too long, what is in the way', async (context) => {
	const folder = await mkdtemp(join(server.folder, 'errors-'));
	const storage = sftpStorage(server.storage(basename(folder)));
	context.after(() => storage.close());
	const put = (key: string) => storage.put(key, inChunks(randomBytes(10)));
	await writeFile(join(folder, 'file'), 'x');
	await assert.rejects(put('file/below'), fails('INVALID_KEY', /a file has that name/));
	await mkdir(join(folder, 'folder'));
	await assert.rejects(put('folder'), code('ALREADY_EXISTS'));
	const long = `${'x'.repeat(256)}`;
	for (const key of [long, `a/${long}/b`]) {
		await assert.rejects(put(key), fails('INVALID_KEY', /name as long/));
		await assert.rejects(storage.stat(key), fails('INVALID_KEY', /name as long/));
	}
	assert.deepEqual(await readdir(folder), ['a', 'file', 'folder']);
	await storage.close();
});

test('a disk that is full keeps nothing of the object', async (context) => {
	// A file system of 4 MB in a mount namespace of its own, in which the server runs: nobody else sees it.
	const small = await startSshd({ diskBytes: 4_000_000 });
	const storage = sftpStorage(small.storage('sub'));
	context.after(async () => {
		await storage.close();
		await small.stop();
	});
	const content = randomBytes(9_000_000);
	const known = storage.put('known', inChunks(content), { size: content.length });
	await assert.rejects(known, fails('DISK_FULL', /bytes free, the backup needs 9000000/));
	await assert.rejects(storage.put('unknown', inChunks(content)), fails('DISK_FULL', /No space left/));
	assert.deepEqual(await keysOf(storage, ''), []);
	assert.equal(await storage.removeUnfinished('', new Date(Date.now() + 5000)), 0);
	await storage.put('fits', inChunks(content.subarray(0, 1_000_000)));
});
