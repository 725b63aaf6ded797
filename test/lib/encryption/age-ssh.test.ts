import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { createAgeIdentity, decryptor, encryptionEncoding } from '../../../lib/encryption/encryption';
import { run } from './age-command';
import { testEncryption } from './conformance';
import {
	assertLifeboatError,
	attempt,
	everythingIn,
	sampleBytes,
	transformationOf,
	transformed,
} from './helpers';

const foreign = { type: 'encryption', format: 'age' } as const;

/** A key as `ssh-keygen` makes it. */
interface SshKey {
	path: string;
	publicKey: string;
	privateKey: string;
}

async function sshKeygen(folder: string, name: string, ...args: string[]): Promise<SshKey> {
	const path = join(folder, name);
	await run('ssh-keygen', ['-q', '-N', '', '-C', 'somebody@example.org, a comment', '-f', path, ...args]);
	const [publicKey, privateKey] = await Promise.all([
		readFile(`${path}.pub`, 'utf8'),
		readFile(path, 'utf8'),
	]);
	return { path, publicKey, privateKey };
}

testEncryption(async () => {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-ssh-'));
	try {
		const [pair, stranger] = [
			await sshKeygen(folder, 'one', '-t', 'ed25519'),
			await sshKeygen(folder, 'two', '-t', 'ed25519'),
		];
		return {
			name: 'age',
			targets: { recipients: [pair.publicKey] },
			keys: { identities: [pair.privateKey] },
			wrongKeys: { identities: [stranger.privateKey] },
			headerLength: (file) => file.indexOf('\n', file.indexOf('\n---') + 1) + 1 + 16,
			brief: true,
			costly: true,
		};
	} finally {
		await rm(folder, { recursive: true });
	}
}, 'age for an SSH key');

describe('age with SSH keys, and the age command', () => {
	let folder: string;
	const keys: SshKey[] = [];

	before(async () => {
		folder = await mkdtemp(join(tmpdir(), 'lifeboat-ssh-'));
		keys.push(
			await sshKeygen(folder, 'ed25519', '-t', 'ed25519'),
			await sshKeygen(folder, 'rsa', '-t', 'rsa', '-b', '2048'),
			await sshKeygen(folder, 'rsa-odd', '-t', 'rsa', '-b', '3072'),
			await sshKeygen(folder, 'rsa-pem', '-t', 'rsa', '-b', '2048', '-m', 'PEM'),
		);
	});
	after(() => rm(folder, { recursive: true }));

	test('the command opens what is encrypted here, and the other way round', async () => {
		const data = sampleBytes(70_000);
		for (const { path, publicKey, privateKey } of keys) {
			const encoding = await encryptionEncoding('age', { recipients: [publicKey] });
			assert.deepEqual(transformationOf(encoding).recipients, [publicKey.split(' ').slice(0, 2).join(' ')]);
			const ours = await transformed(await encoding.createTransform(), data);
			assert.ok(data.equals(await run('age', ['-d', '-i', path], ours)), path);
			const theirs = await run('age', ['-R', `${path}.pub`], data);
			for (const text of [privateKey, privateKey.replaceAll('\n', ''), privateKey.replaceAll('\n', ' ')]) {
				assert.ok(
					data.equals(await transformed(await decryptor(foreign, { identities: [text] }), theirs)),
					path,
				);
			}
		}
	});

	test('the right one of many is found, of every kind', async () => {
		const data = sampleBytes(100);
		const native = await createAgeIdentity();
		const all = [`# mine\n${native.identity}\n`, ...keys.map(({ privateKey }) => privateKey)].join('\n');
		for (const recipient of [native.recipient, ...keys.map(({ publicKey }) => publicKey)]) {
			const encoding = await encryptionEncoding('age', { recipients: [recipient] });
			const file = await transformed(await encoding.createTransform(), data);
			assert.ok(data.equals(await transformed(await decryptor(foreign, { identities: [all] }), file)));
		}
		const everybody = [native.recipient, ...keys.map(({ publicKey }) => publicKey)].join('\n');
		const encoding = await encryptionEncoding('age', { recipients: [everybody] });
		assert.equal(transformationOf(encoding).recipients?.length, 5);
		const file = await transformed(await encoding.createTransform(), data);
		for (const { privateKey, path } of keys) {
			assert.ok(data.equals(await transformed(await decryptor(foreign, { identities: [privateKey] }), file)));
			assert.ok(data.equals(await run('age', ['-d', '-i', path], file)));
		}
	});

	test('a key that does not fit is told apart from the one that would', async () => {
		const [ed25519, rsa] = keys as [SshKey, SshKey];
		const encoding = await encryptionEncoding('age', { recipients: [rsa.publicKey] });
		const file = await transformed(await encoding.createTransform(), sampleBytes(10));
		const { error } = await attempt(
			await decryptor(transformationOf(encoding), { identities: [ed25519.privateKey] }),
			file,
		);
		assertLifeboatError(error, 'WRONG_KEY');
		assert.ok(error.message.includes(ed25519.publicKey.split(' ')[1]!.slice(-10)), 'what was offered');
		assert.ok(error.hint?.includes(rsa.publicKey.split(' ')[1]!.slice(-10)), 'what is needed');
	});

	test('keys that are locked, cut, too short or of another kind are refused, and not repeated', async () => {
		const locked = await readFile(
			await run('ssh-keygen', ['-q', '-N', 'secret', '-t', 'ed25519', '-f', join(folder, 'locked')]).then(
				() => join(folder, 'locked'),
			),
			'utf8',
		);
		const lockedPem = generateKeyPairSync('rsa', {
			modulusLength: 2048,
			publicKeyEncoding: { type: 'spki', format: 'pem' },
			privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
		}).privateKey;
		const short = await sshKeygen(folder, 'short', '-t', 'rsa', '-b', '1024');
		const ecdsa = await sshKeygen(folder, 'ecdsa', '-t', 'ecdsa');
		const [{ privateKey, publicKey }] = keys as [SshKey];
		const opens = (text: string) => () => decryptor(foreign, { identities: [text] });
		const encrypts = (text: string) => () => encryptionEncoding('age', { recipients: [text] });
		for (const [what, code, text, action] of [
			['locked', 'UNSUPPORTED_FORMAT', locked, opens(locked)],
			['locked PEM', 'UNSUPPORTED_FORMAT', lockedPem, opens(lockedPem)],
			['cut', 'INVALID_KEY', privateKey, opens(privateKey.split('\n').toSpliced(2, 1).join('\n'))],
			['no end', 'INVALID_KEY', privateKey, opens(privateKey.slice(0, 200))],
			['short', 'INVALID_KEY', short.privateKey, opens(short.privateKey)],
			['short recipient', 'INVALID_KEY', short.publicKey, encrypts(short.publicKey)],
			['other kind', 'INVALID_KEY', ecdsa.privateKey, opens(ecdsa.privateKey)],
			['other kind of recipient', 'UNSUPPORTED_FORMAT', ecdsa.publicKey, encrypts(ecdsa.publicKey)],
			['private as recipient', 'INVALID_KEY', privateKey, encrypts(privateKey)],
			['public as identity', 'INVALID_KEY', publicKey, opens(publicKey)],
			['cut recipient', 'INVALID_KEY', publicKey, encrypts(publicKey.slice(0, 60))],
		] as const) {
			await assert.rejects(action, (error) => {
				assertLifeboatError(error, code);
				const body = text.replaceAll(/-----[^-]+-----|\s/g, '');
				assert.ok(!everythingIn(error).includes(body.slice(60, 76)), what);
				return true;
			});
		}
	});
});
