import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { generateHybridIdentity, identityToRecipient } from 'age-encryption';

import {
	createAgeIdentity,
	decryptor,
	encryptionEncoding,
	type EncryptionKeys,
} from '../../../lib/encryption/encryption';
import {
	assertLifeboatError,
	attempt,
	everythingIn,
	sampleBytes,
	transformationOf,
	transformed,
} from './helpers';

const SSH_ECDSA =
	'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg= me@example';

describe('age keys', () => {
	let pair: { identity: string; recipient: string };
	let other: { identity: string; recipient: string };
	const data = sampleBytes(70_000);

	before(async () => {
		[pair, other] = await Promise.all([createAgeIdentity(), createAgeIdentity()]);
	});

	const encrypt = async (recipients: readonly string[]) => {
		const encoding = await encryptionEncoding('age', { recipients });
		return {
			transformation: transformationOf(encoding),
			file: await transformed(await encoding.createTransform(), data),
		};
	};
	const failure = async (action: () => Promise<unknown>): Promise<unknown> => {
		try {
			await action();
		} catch (error) {
			return error;
		}
		throw new Error('it did not fail');
	};
	const openWith = async (
		keys: EncryptionKeys,
		file: Buffer,
		transformation = { type: 'encryption', format: 'age' } as const,
	) => transformed(await decryptor(transformation, keys), file);

	test('recipients are listed once each, without what stands around them', async () => {
		const text = `# backup keys\n${pair.recipient}\r\n\n  ${other.recipient.toUpperCase()} \n# ${'x'.repeat(9)}\n${pair.recipient}`;
		const { transformation, file } = await encrypt([text, other.recipient]);
		assert.deepEqual(transformation, {
			type: 'encryption',
			format: 'age',
			recipients: [pair.recipient, other.recipient],
		});
		assert.equal(file.toString('latin1').match(/-> X25519/g)?.length, 2);
		assert.deepEqual((await encrypt([`${pair.recipient}, ${other.recipient}`])).transformation.recipients, [
			pair.recipient,
			other.recipient,
		]);
	});

	test('a key file opens even where a form has dropped its line breaks', async () => {
		const { file } = await encrypt([pair.recipient]);
		const keyFile = (of: typeof pair) =>
			`# created: 2026-11-21T02:00:00Z\n# public key: ${of.recipient}\n${of.identity}\n`;
		for (const text of [
			keyFile(pair),
			keyFile(pair).replaceAll('\n', '\r\n'),
			keyFile(pair).replaceAll('\n', ''),
			keyFile(pair).replaceAll('\n', ' '),
			(keyFile(other) + keyFile(pair)).replaceAll('\n', ''),
			other.identity + pair.identity,
			pair.identity.toLowerCase(),
		]) {
			assert.ok(data.equals(await openWith({ identities: [text] }, file)), text.slice(0, 30));
		}
		const commented = `${other.identity}\n# ${pair.identity}\n`;
		assertLifeboatError(await failure(() => openWith({ identities: [commented] }, file)), 'WRONG_KEY');
	});

	test('post-quantum keys work, where the library has them', async () => {
		const identity = await generateHybridIdentity();
		const recipient = await identityToRecipient(identity);
		const { file } = await encrypt([recipient]);
		assert.ok(data.equals(await openWith({ identities: [identity] }, file)));
	});

	test('what is missing is named by the field to fill in', async () => {
		const recipients = await encrypt([pair.recipient]);
		const passphrase = await encryptionEncoding('age', { passphrase: 'x' }, { scryptLogN: 10 });
		const passphraseFile = await transformed(await passphrase.createTransform(), data);
		const missing = async (action: () => Promise<unknown>, field: RegExp) => {
			const error = await failure(action);
			assertLifeboatError(error, 'KEY_MISSING');
			assert.match(error.hint ?? '', field);
		};
		for (const blank of [{}, { recipients: [' \n'], passphrase: '' }, { recipients: ['# none'] }]) {
			await missing(() => encryptionEncoding('age', blank), /Age Recipients, or Passphrase/);
		}
		await missing(() => decryptor(recipients.transformation, {}), /Age Identity .*credential.*age1/);
		await missing(
			() => decryptor(recipients.transformation, { passphrase: 'x', identities: [''] }),
			/Age Identity/,
		);
		await missing(
			() => decryptor(transformationOf(passphrase), { identities: [pair.identity] }),
			/Passphrase/,
		);
		await missing(() => decryptor({ type: 'encryption', format: 'age' }, {}), /Age Identity, or Passphrase/);
		// Where no manifest tells, the file does.
		await missing(() => openWith({ passphrase: 'x' }, recipients.file), /Age Identity/);
		await missing(() => openWith({ identities: [pair.identity] }, passphraseFile), /Passphrase/);
		assert.ok(data.equals(await openWith({ identities: [pair.identity], passphrase: 'x' }, passphraseFile)));
		assert.ok(data.equals(await openWith({ identities: [pair.identity], passphrase: 'y' }, recipients.file)));
	});

	test('a key that does not fit names those that would', async () => {
		const { transformation, file } = await encrypt([pair.recipient]);
		const error = await failure(async () =>
			transformed(await decryptor(transformation, { identities: [other.identity] }), file),
		);
		assertLifeboatError(error, 'WRONG_KEY');
		assert.ok(error.hint?.includes(pair.recipient));
	});

	test('recipients and a passphrase exclude each other, and work factors have bounds', async () => {
		const both = { recipients: [pair.recipient], passphrase: 'x' };
		assertLifeboatError(await failure(() => encryptionEncoding('age', both)), 'INVALID_OPTION');
		for (const scryptLogN of [0, 9, 23, 18.5, Number.NaN]) {
			assertLifeboatError(
				await failure(() => encryptionEncoding('age', { passphrase: 'x' }, { scryptLogN })),
				'INVALID_OPTION',
			);
		}
		const crowd = await Promise.all(Array.from({ length: 257 }, createAgeIdentity));
		const recipients = crowd.map(({ recipient }) => recipient);
		assertLifeboatError(await failure(() => encryptionEncoding('age', { recipients })), 'INVALID_OPTION');
		const { file } = await encrypt(recipients.slice(1));
		assert.ok(data.equals(await openWith({ identities: [crowd.at(-1)!.identity] }, file)));
	});

	test('keys of kinds that are not supported are called by their kind', async () => {
		const unsupported = async (action: () => Promise<unknown>, kind: RegExp) => {
			const error = await failure(action);
			assertLifeboatError(error, 'UNSUPPORTED_FORMAT');
			assert.match(error.message, kind);
		};
		const plugin = 'age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t';
		await unsupported(() => encryptionEncoding('age', { recipients: [SSH_ECDSA] }), /SSH/);
		await unsupported(() => encryptionEncoding('age', { recipients: [plugin] }), /plugin/);
		const open = (identity: string) =>
			decryptor({ type: 'encryption', format: 'age' }, { identities: [identity] });
		await unsupported(() => open('AGE-PLUGIN-YUBIKEY-1QJQ2YQVZ87TFYKSR3EXA7'), /plugin/);
		await unsupported(
			() => open('-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----'),
			/encrypted/,
		);
		await unsupported(() => encryptionEncoding('rot13' as 'age', {}), /rot13/);
		await unsupported(() => decryptor({ type: 'encryption', format: 'rot13' as 'age' }, {}), /rot13/);
	});

	test('no error tells a secret, nor what stands in the wrong field', async () => {
		const passphrase = 'Tr0ub4dor-and-3-more';
		const typo = (key: string) => `${key.slice(0, 30)}${key[30] === 'q' ? 'p' : 'q'}${key.slice(31)}`;
		const { transformation, file } = await encrypt([pair.recipient]);
		const withPassphrase = await encryptionEncoding('age', { passphrase: 'another' }, { scryptLogN: 10 });
		const passphraseFile = await transformed(await withPassphrase.createTransform(), data);
		const changed = Buffer.from(file);
		changed[file.indexOf('\n---') + 10]! ^= 1;
		const opens =
			(keys: EncryptionKeys, bytes = file) =>
			async () =>
				transformed(await decryptor(transformation, keys), bytes);
		const cases: [string, string[], () => Promise<unknown>][] = [
			['INVALID_KEY', [pair.identity], () => encryptionEncoding('age', { recipients: [pair.identity] })],
			[
				'INVALID_KEY',
				[pair.identity],
				() => encryptionEncoding('age', { recipients: [pair.identity.toLowerCase()] }),
			],
			[
				'INVALID_KEY',
				[typo(pair.recipient)],
				() => encryptionEncoding('age', { recipients: [typo(pair.recipient)] }),
			],
			['INVALID_KEY', [passphrase], () => encryptionEncoding('age', { recipients: [passphrase] })],
			['INVALID_KEY', [typo(pair.identity)], opens({ identities: [typo(pair.identity)] })],
			['INVALID_KEY', [pair.identity.slice(0, -1)], opens({ identities: [pair.identity.slice(0, -1)] })],
			['INVALID_KEY', [passphrase], opens({ identities: [passphrase] })],
			['INVALID_KEY', [], opens({ identities: [pair.recipient] })],
			['WRONG_KEY', [other.identity, passphrase], opens({ identities: [other.identity], passphrase })],
			['WRONG_KEY', [passphrase], async () => openWith({ passphrase }, passphraseFile)],
			['DAMAGED', [pair.identity, passphrase], opens({ identities: [pair.identity], passphrase }, changed)],
			['DAMAGED', [pair.identity], opens({ identities: [pair.identity] }, file.subarray(0, -5))],
			[
				'INVALID_OPTION',
				[passphrase],
				() => encryptionEncoding('age', { recipients: [pair.recipient], passphrase }),
			],
			['INVALID_OPTION', [passphrase], () => encryptionEncoding('age', { passphrase }, { scryptLogN: 99 })],
			['KEY_MISSING', [pair.identity], () => openWith({ identities: [pair.identity] }, passphraseFile)],
		];
		for (const [code, secrets, action] of cases) {
			const error = await failure(action);
			assertLifeboatError(error, code);
			const said = everythingIn(error).toLowerCase();
			for (const secret of secrets) {
				// Not even a part of it that would help to guess the rest.
				for (let at = 0; at + 12 <= secret.length; at += 6) {
					const part = secret.slice(at, at + 12).toLowerCase();
					if (!'age-secret-key-1'.includes(part)) assert.ok(!said.includes(part), `${code}: ${part}`);
				}
			}
		}
	});

	test('what the manifest is told holds no secret', async () => {
		const encoding = await encryptionEncoding('age', { passphrase: 'Tr0ub4dor' }, { scryptLogN: 10 });
		assert.ok(!JSON.stringify(encoding).includes('Tr0ub4dor'));
		assert.deepEqual(Object.keys(encoding.transformation).sort(), ['format', 'passphrase', 'type']);
	});

	test('a header that differs from what the manifest says is refused', async () => {
		const strong = await encryptionEncoding('age', { passphrase: 'x' }, { scryptLogN: 12 });
		const weak = await encryptionEncoding('age', { passphrase: 'x' }, { scryptLogN: 10 });
		const file = await transformed(await strong.createTransform(), data);
		const { error } = await attempt(await decryptor(transformationOf(weak), { passphrase: 'x' }), file);
		assertLifeboatError(error, 'DAMAGED');
	});
});
