import assert from 'node:assert/strict';
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { constants, createDeflateRaw } from 'node:zlib';

import * as openpgp from 'openpgp';

import { decryptor, encryptionEncoding, type EncryptionKeys } from '../../../lib/encryption/encryption';
import { packet, PacketReader, PacketWriter, Tag, wholeBody } from '../../../lib/encryption/openpgp/packets';
import { sessionKeyIn } from '../../../lib/encryption/openpgp/passphrase-key';
import { testEncryption } from './conformance';
import { GnuPg } from './gpg-command';
import {
	assertLifeboatError,
	attempt,
	everythingIn,
	pieces,
	sampleBytes,
	transformationOf,
	transformed,
} from './helpers';

const foreign = { type: 'encryption', format: 'openpgp' } as const;

interface Pair {
	publicKey: string;
	privateKey: string;
}

const makePair = async (name: string, passphrase?: string): Promise<Pair> =>
	openpgp.generateKey({
		userIDs: [{ name, email: `${name}@example.org` }],
		type: 'ecc',
		curve: 'ed25519Legacy',
		...(passphrase && { passphrase }),
	});

/** Bytes before the packet with the data: each packet before it has a length of one or five bytes. */
function headerLength(file: Buffer): number {
	let at = 0;
	while ((file[at]! & 0x3f) !== Tag.encrypted) {
		const first = file[at + 1]!;
		at +=
			first === 255
				? 6 + file.readUInt32BE(at + 2)
				: first < 192
					? 2 + first
					: 3 + (first - 192) * 256 + file[at + 2]! + 192;
	}
	return at;
}

testEncryption(async () => {
	const [pair, stranger] = await Promise.all([makePair('owner'), makePair('stranger')]);
	return {
		name: 'openpgp',
		targets: { openpgp: { publicKeys: [pair.publicKey] } },
		keys: { openpgp: { privateKeys: [pair.privateKey] } },
		wrongKeys: { openpgp: { privateKeys: [stranger.privateKey] } },
		headerLength,
		provenWhole: true,
		costly: true,
	};
}, 'OpenPGP for a public key');

describe('OpenPGP and the gpg command', () => {
	let gpg: GnuPg;
	let modern: Pair & { fingerprint: string };
	let rsa: Pair & { fingerprint: string };
	const both = (): EncryptionKeys => ({
		passphrase: 'correct horse',
		openpgp: { privateKeys: [modern.privateKey, rsa.privateKey], keyPassphrase: 'key secret' },
	});

	before(async () => {
		gpg = await GnuPg.create();
		modern = await gpg.makeKey('modern');
		rsa = await gpg.makeKey('rsa', ['rsa2048', 'rsa2048'], 'key secret');
	});
	after(() => gpg.close());

	test('gpg opens what is encrypted here, by each key and by the passphrase, and finds the signature good', async () => {
		const signed = { publicKeys: [modern.publicKey, rsa.publicKey], signingKeys: [modern.privateKey] };
		const cases = [
			[{ openpgp: { publicKeys: [modern.publicKey] } }, ''],
			[{ openpgp: { publicKeys: [rsa.publicKey] } }, 'key secret'],
			[{ passphrase: 'drei Türme $"\\' }, 'drei Türme $"\\'],
			[{ passphrase: 'correct horse', openpgp: signed }, ''],
		] as const;
		for (const [targets, passphrase] of cases) {
			const encoding = await encryptionEncoding('openpgp', targets);
			assert.equal(encoding.extension, '.gpg');
			for (const size of [0, 65_530, 300_000]) {
				const data = sampleBytes(size);
				const file = await transformed(await encoding.createTransform(), data);
				const { output, status, said } = await gpg.try(['--decrypt'], file, passphrase);
				assert.equal(status, 0, said);
				assert.ok(data.equals(output), `${size} bytes`);
				if ('openpgp' in targets && 'signingKeys' in targets.openpgp) assert.match(said, /Good signature/);
			}
		}
	});

	test('gpg refuses what is refused here', async () => {
		const encoding = await encryptionEncoding('openpgp', { openpgp: { publicKeys: [modern.publicKey] } });
		const file = await transformed(await encoding.createTransform(), sampleBytes(100_000));
		const changed = Buffer.from(file);
		changed[50_000]! ^= 1;
		for (const broken of [changed, file.subarray(0, -1)]) {
			assert.notEqual((await gpg.try(['--decrypt'], broken)).status, 0);
			const { error, released } = await attempt(await decryptor(foreign, both()), broken);
			assertLifeboatError(error, 'DAMAGED');
			assert.equal(released.length, 0);
		}
	});

	test('opens what gpg encrypts: keys, passphrases, signatures, compression, armour', async () => {
		const ways: [string[], number][] = [
			[['--encrypt', '-r', 'modern'], 70_000],
			[['--encrypt', '-r', 'modern', '-r', 'rsa', '--sign', '-u', 'modern', '--armor'], 100_000],
			[['--encrypt', '-r', 'rsa', '-z', '0'], 1],
			[['--encrypt', '-r', 'modern', '--compress-algo', 'zlib', '--armor'], 0],
			[['--symmetric'], 300_000],
			[['--symmetric', '--s2k-digest-algo', 'SHA512', '--cipher-algo', 'AES128'], 10],
			[['--symmetric', '--s2k-digest-algo', 'SHA1', '--s2k-count', '1024'], 10],
			[['--symmetric', '--s2k-digest-algo', 'SHA384', '--cipher-algo', 'AES192', '--s2k-count', '70000'], 10],
			[['--symmetric', '--s2k-mode', '0', '--s2k-digest-algo', 'RIPEMD160'], 10],
			[['--symmetric', '--encrypt', '-r', 'modern'], 1000],
		];
		for (const [args, size] of ways) {
			const data = sampleBytes(size);
			const file = await gpg.run(args, data, 'correct horse');
			for (const cuts of [[], [1, 2, 3, 100, 5000, 65_537]]) {
				assert.ok(
					data.equals(await transformed(await decryptor(foreign, both()), pieces(file, cuts))),
					args.join(' '),
				);
			}
		}
	});

	test('a passphrase finds its key without the library, which takes 65 MB for it', async () => {
		for (const args of [['--symmetric'], ['--symmetric', '--encrypt', '-r', 'modern']]) {
			const reader = new PacketReader(Readable.from([await gpg.run(args, 'data', 'correct horse')]));
			for (;;) {
				const found = await reader.next();
				const body = await wholeBody(found!, 10_000);
				if (found!.tag !== Tag.passphraseSessionKey) continue;
				assert.match((await sessionKeyIn(body, 'correct horse'))?.algorithm ?? '', /^aes(128|256)$/);
				assert.equal(await sessionKeyIn(body.subarray(0, 12), 'correct horse'), undefined);
				break;
			}
		}
	});

	test('says of what it does not open how to open it', async () => {
		for (const [args, message] of [
			[['--compress-algo', 'bzip2'], /bzip2/],
			[['--cipher-algo', 'CAST5'], /cipher cast5|not opened/],
		] as const) {
			const file = await gpg.run(['--encrypt', '-r', 'modern', ...args], sampleBytes(1000));
			const { error } = await attempt(await decryptor(foreign, both()), file);
			assertLifeboatError(error, 'UNSUPPORTED_FORMAT', 'WRONG_KEY');
			assert.match(error.message, message);
		}
	});

	test('a signature of a known key must be valid, and there if the manifest says so', async () => {
		const data = sampleBytes(150_000);
		const file = await gpg.run(['--encrypt', '--sign', '-r', 'modern', '-u', 'modern', '-z', '0'], data);
		const keys = (publicKeys: string[]): EncryptionKeys => ({
			openpgp: { privateKeys: [modern.privateKey], publicKeys },
		});
		assert.ok(data.equals(await transformed(await decryptor(foreign, keys([rsa.publicKey])), file)));
		// The same message with a signature over other content, by somebody who may encrypt but not sign.
		const other = (await openpgp.sign({
			message: await openpgp.createMessage({ binary: new Uint8Array(sampleBytes(1000, 'other')) }),
			signingKeys: await openpgp.readPrivateKey({ armoredKey: modern.privateKey }),
			format: 'binary',
		})) as Uint8Array;
		const forged = Buffer.from(other);
		forged[forged.indexOf(sampleBytes(1000, 'other').subarray(100, 120))]! ^= 1;
		const stripped: Buffer[] = [];
		const reader = new PacketReader(Readable.from([Buffer.from(other)]));
		for (let found = await reader.next(); found; found = await reader.next()) {
			const body = await wholeBody(found, 10_000);
			if (found.tag !== Tag.signature) stripped.push(packet(found.tag, body));
		}
		for (const [inner, expected] of [
			[Buffer.from(other), undefined],
			[forged, 'DAMAGED'],
			[Buffer.concat(stripped), 'DAMAGED'],
		] as const) {
			const message = await sealedMessage(inner, modern.publicKey);
			const { error } = await attempt(await decryptor(foreign, keys([])), message);
			if (expected) assertLifeboatError(error, expected);
			else assert.equal(error, undefined);
		}
		const plain = await gpg.run(['--encrypt', '-r', 'modern'], data);
		const { error } = await attempt(
			await decryptor({ ...foreign, signedBy: [modern.fingerprint] }, keys([])),
			plain,
		);
		assertLifeboatError(error, 'DAMAGED');
		assert.match(error.message, /not signed/);
		// Signed, but by somebody else than the manifest says; then by whom it says, whose key isn't here.
		const foreigners = await gpg.run(
			['--encrypt', '--sign', '-r', 'modern', '-u', 'rsa'],
			data,
			'key secret',
		);
		for (const [signer, message] of [
			[modern, /somebody else/],
			[rsa, undefined],
		] as const) {
			const decoder = await decryptor({ ...foreign, signedBy: [signer.fingerprint] }, keys([]));
			const outcome = await attempt(decoder, foreigners);
			if (message) {
				assertLifeboatError(outcome.error, 'DAMAGED');
				assert.match(outcome.error.message, message);
			} else {
				assert.equal(outcome.error, undefined);
			}
			assert.equal(outcome.released.length, message ? 0 : data.length);
		}
	});
});

/** A message around packets that may be anything, authenticated as it should be. */
async function sealedMessage(inner: Buffer | AsyncIterable<Buffer>, publicKey: string): Promise<Buffer> {
	const key = randomBytes(32);
	const header = await openpgp.encryptSessionKey({
		data: new Uint8Array(key),
		algorithm: 'aes256',
		encryptionKeys: await openpgp.readKey({ armoredKey: publicKey }),
		format: 'binary',
	});
	const random = randomBytes(16);
	const parts: Buffer[] = [random, random.subarray(14)];
	if (Buffer.isBuffer(inner)) parts.push(inner);
	else for await (const part of inner) parts.push(part);
	parts.push(Buffer.from([0xd3, 0x14]));
	const plaintext = Buffer.concat(parts);
	const cipher = createCipheriv('aes-256-cfb', key, Buffer.alloc(16));
	const code = createHash('sha1').update(plaintext).digest();
	const data = Buffer.concat([Buffer.from([1]), cipher.update(plaintext), cipher.update(code)]);
	return Buffer.concat([header, packet(Tag.encrypted, data)]);
}

describe('OpenPGP messages made to harm', () => {
	let pair: Pair;
	let keys: EncryptionKeys;
	const mebibyte = 1024 * 1024;
	const peak = () => process.resourceUsage().maxRSS * 1024;

	before(async () => {
		pair = await makePair('target');
		keys = { passphrase: 'x', openpgp: { privateKeys: [pair.privateKey] } };
		await attempt(
			await decryptor(foreign, keys),
			await sealedMessage(literal(sampleBytes(1000)), pair.publicKey),
		);
	});

	const literal = (data: Buffer) =>
		packet(Tag.literal, Buffer.concat([Buffer.from([0x62, 0, 0, 0, 0, 0]), data]));
	const refused = async (what: string, file: Buffer, ...codes: string[]) => {
		const [memory, started] = [peak(), process.cpuUsage()];
		let released = 0;
		const stream = await decryptor(foreign, keys);
		stream.on('data', (data: Buffer) => (released += data.length));
		const error = await new Promise<unknown>((resolve) => {
			stream.on('error', resolve).on('end', () => resolve(undefined));
			stream.end(file);
		});
		assertLifeboatError(error, ...(codes.length > 0 ? codes : ['DAMAGED']));
		// What it costs, whatever else runs on the machine.
		const { user, system } = process.cpuUsage(started);
		const took = (user + system) / 1000;
		assert.ok(took < 1000, `${what}: ${took.toFixed(0)} ms`);
		assert.ok(peak() - memory < 100 * mebibyte, `${what}: ${((peak() - memory) / mebibyte).toFixed(0)} MiB`);
		return released;
	};

	test('a compressed packet that grows without end', async () => {
		const deflate = createDeflateRaw({ level: constants.Z_BEST_COMPRESSION });
		const zeros = Buffer.alloc(mebibyte);
		const compressed: Buffer[] = [];
		deflate.on('data', (data: Buffer) => compressed.push(data));
		deflate.write(literal(Buffer.alloc(0)).subarray(0, 1));
		deflate.write(Buffer.from([0xfe]));
		for (let count = 0; count < 300; count++) deflate.write(zeros);
		deflate.end();
		await new Promise((resolve) => deflate.on('end', resolve));
		const bomb = packet(Tag.compressed, Buffer.concat([Buffer.from([1]), ...compressed]));
		const released = await refused('bomb', await sealedMessage(bomb, pair.publicKey));
		assert.ok(released < 100 * mebibyte && released > 10 * mebibyte);
	});

	test('packets within packets, and what has no place there', async () => {
		const deflated = (data: Buffer) => packet(Tag.compressed, Buffer.concat([Buffer.from([0]), data]));
		const good = literal(sampleBytes(10));
		for (const [what, inner] of [
			['compressed twice', deflated(deflated(good))],
			['two contents', Buffer.concat([good, good])],
			['two compressed ones', Buffer.concat([deflated(good), deflated(good)])],
			['no content', packet(Tag.marker, Buffer.from('PGP'))],
			['a key', packet(5, Buffer.alloc(100))],
			['a cut packet', good.subarray(0, -1)],
			['a packet of half a head', packet(Tag.literal, Buffer.from([0x62, 200, 1]))],
			['no packets', Buffer.from('plain text')],
			['signatures without end', packet(Tag.onePassSignature, Buffer.alloc(13, 3))],
			['an unknown compression', packet(Tag.compressed, Buffer.from([9, 1, 2]))],
			['what is no deflate data', packet(Tag.compressed, Buffer.from([1, 255, 255]))],
		] as const) {
			// Data that starts with no packet looks as if it were decrypted with a wrong key.
			const codes = what === 'no packets' ? ['WRONG_KEY'] : ['DAMAGED', 'UNSUPPORTED_FORMAT'];
			const message =
				what === 'signatures without end'
					? Buffer.concat(Array.from({ length: 10_000 }, () => inner))
					: inner;
			await refused(what, await sealedMessage(message, pair.publicKey), ...codes);
		}
	});

	test('headers', async () => {
		const message = await sealedMessage(literal(sampleBytes(10)), pair.publicKey);
		const header = message.subarray(0, headerLength(message));
		const data = message.subarray(header.length);
		const passphrase = packet(
			Tag.passphraseSessionKey,
			Buffer.from([4, 9, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8, 255]),
		);
		const argon2 = packet(
			Tag.passphraseSessionKey,
			Buffer.from([6, 19, 9, 2, 19, 4, ...Buffer.alloc(16, 1), 100, 4, 30, ...Buffer.alloc(48, 2)]),
		);
		const crowd = (one: Buffer, count: number) => Buffer.concat(Array.from({ length: count }, () => one));
		const bySize = (tag: number, length: number) =>
			Buffer.concat([
				Buffer.from([0xc0 | tag, 255]),
				Buffer.from(length.toString(16).padStart(8, '0'), 'hex'),
			]);
		await refused('thousands of keys', Buffer.concat([crowd(header, 3000), data]));
		await refused('a hundred passphrases', Buffer.concat([crowd(passphrase, 100), data]));
		await refused('Argon2 with a terabyte', Buffer.concat([argon2, data]));
		const argon2With = (passes: number, exponent: number) =>
			packet(
				Tag.passphraseSessionKey,
				Buffer.from([4, 9, 4, ...Buffer.alloc(16, 1), passes, 1, exponent, ...Buffer.alloc(33, 2)]),
			);
		await refused('Argon2 with 255 passes', Buffer.concat([argon2With(255, 16), data]));
		await refused(
			'Argon2 for less, time and again',
			Buffer.concat([crowd(argon2With(1, 13), 8), data]),
			'WRONG_KEY',
		);
		// What costs too much keeps nothing from being opened by something else.
		const beside = Buffer.concat([argon2With(255, 16), header, data]);
		assert.ok(sampleBytes(10).equals(await transformed(await decryptor(foreign, keys), beside)));
		await refused('a session key of 4 GB', Buffer.concat([bySize(1, 0xffffffff), Buffer.alloc(mebibyte)]));
		await refused('a marker of 4 GB', Buffer.concat([bySize(10, 0xffffffff), Buffer.alloc(mebibyte)]));
		await refused(
			'no integrity',
			Buffer.concat([header, packet(9, Buffer.alloc(100))]),
			'UNSUPPORTED_FORMAT',
		);
		await refused(
			'AEAD of GnuPG',
			Buffer.concat([header, packet(20, Buffer.alloc(100))]),
			'UNSUPPORTED_FORMAT',
		);
		await refused(
			'another version',
			Buffer.concat([header, packet(18, Buffer.alloc(100, 2))]),
			'UNSUPPORTED_FORMAT',
		);
		await refused('data without a key', data);
		await refused('data that is empty', Buffer.concat([header, packet(18, Buffer.from([1]))]));
		await refused('a second message behind', Buffer.concat([message, message]));
		await refused('white space without end', Buffer.alloc(8 * mebibyte, ' '));
		await refused(
			'armour without a body',
			Buffer.from(`-----BEGIN PGP MESSAGE-----\n${'A: b\n'.repeat(1e6)}`),
		);
		await refused(
			'armour with a line without end',
			Buffer.from(`-----BEGIN PGP MESSAGE-----\n\n${'A'.repeat(8e6)}`),
		);
		await refused('unencrypted content', literal(sampleBytes(10)));
	});

	test('a code that is right for other data, or is missing', async () => {
		const message = await sealedMessage(literal(sampleBytes(1000)), pair.publicKey);
		const start = headerLength(message);
		const body = message.subarray(start + 6);
		for (const cut of [1, 20, 22, 500, body.length - 20]) {
			const shorter = Buffer.concat([message.subarray(0, start), packet(18, body.subarray(0, -cut))]);
			assert.equal(await refused(`${cut} bytes less`, shorter), 0);
		}
		const longer = Buffer.concat([
			message.subarray(0, start),
			packet(18, Buffer.concat([body, Buffer.alloc(22)])),
		]);
		assert.equal(await refused('22 bytes more', longer), 0);
	});
});

describe('OpenPGP keys and files', () => {
	let pair: Pair;
	let other: Pair;
	let locked: Pair;

	before(async () => {
		[pair, other, locked] = await Promise.all([
			makePair('one'),
			makePair('two'),
			makePair('three', 'key secret'),
		]);
	});

	const failure = async (action: () => Promise<unknown>): Promise<unknown> => {
		try {
			await action();
		} catch (error) {
			return error;
		}
		throw new Error('it did not fail');
	};

	test('the manifest names fingerprints and how a passphrase is used, and nothing secret', async () => {
		const encoding = await encryptionEncoding('openpgp', {
			passphrase: 'Tr0ub4dor',
			openpgp: { publicKeys: [pair.publicKey + other.publicKey], signingKeys: [pair.privateKey] },
		});
		const fingerprints = await Promise.all(
			[pair, other].map(async ({ publicKey }) => {
				const key = await openpgp.readKey({ armoredKey: publicKey });
				return key.getFingerprint().toUpperCase();
			}),
		);
		assert.deepEqual(encoding.transformation, {
			type: 'encryption',
			format: 'openpgp',
			recipients: fingerprints,
			passphrase: { kdf: 'openpgp-s2k', hash: 'sha256', count: 65_011_712 },
			signedBy: [fingerprints[0]],
		});
	});

	test('keys are taken as a form hands them over, several in one text', async () => {
		const data = sampleBytes(500);
		const oneLine = (text: string) => text.replaceAll(/\r?\n/g, ' ');
		const bare = (text: string) => text.replaceAll(/\r?\n/g, '');
		const encoding = await encryptionEncoding('openpgp', {
			openpgp: { publicKeys: [oneLine(pair.publicKey)] },
		});
		const file = await transformed(await encoding.createTransform(), data);
		for (const text of [
			pair.privateKey,
			pair.privateKey.replaceAll(/\r?\n/g, '\r\n'),
			oneLine(pair.privateKey),
			bare(other.privateKey + pair.privateKey),
			`keys:\n${locked.privateKey}\n${pair.privateKey}`,
		]) {
			const opener = await decryptor(foreign, {
				openpgp: { privateKeys: [text], keyPassphrase: 'key secret' },
			});
			assert.ok(data.equals(await transformed(opener, file)));
		}
	});

	test('what is missing or does not fit is named, with the key that is needed', async () => {
		const encoding = await encryptionEncoding('openpgp', { openpgp: { publicKeys: [pair.publicKey] } });
		const file = await transformed(await encoding.createTransform(), sampleBytes(10));
		const [fingerprint] = transformationOf(encoding).recipients!;
		const missing = await failure(() => decryptor(transformationOf(encoding), { passphrase: 'x' }));
		assertLifeboatError(missing, 'KEY_MISSING');
		assert.ok(missing.hint?.includes(fingerprint!));
		const { error } = await attempt(
			await decryptor(transformationOf(encoding), { openpgp: { privateKeys: [other.privateKey] } }),
			file,
		);
		assertLifeboatError(error, 'WRONG_KEY');
		assert.ok(error.hint?.includes(fingerprint!));
		const offered = (await openpgp.readKey({ armoredKey: other.publicKey })).getFingerprint().toUpperCase();
		assert.ok(error.message.includes(offered));
		assertLifeboatError(await failure(() => encryptionEncoding('openpgp', {})), 'KEY_MISSING');
	});

	test('no error tells a secret, nor what stands in the wrong field', async () => {
		const body = pair.privateKey.split(/\r?\n/)[4]!;
		const cases: [string, () => Promise<unknown>][] = [
			['INVALID_KEY', () => encryptionEncoding('openpgp', { openpgp: { publicKeys: [pair.privateKey] } })],
			['INVALID_KEY', () => encryptionEncoding('openpgp', { openpgp: { publicKeys: ['Tr0ub4dor-and-3'] } })],
			[
				'INVALID_KEY',
				() =>
					encryptionEncoding('openpgp', { openpgp: { publicKeys: [pair.privateKey.replace(body, 'x')] } }),
			],
			['INVALID_KEY', () => decryptor(foreign, { openpgp: { privateKeys: [pair.publicKey] } })],
			['KEY_MISSING', () => decryptor(foreign, { openpgp: { privateKeys: [locked.privateKey] } })],
			[
				'WRONG_KEY',
				() =>
					decryptor(foreign, {
						openpgp: { privateKeys: [locked.privateKey], keyPassphrase: 'Tr0ub4dor-and-3' },
					}),
			],
		];
		for (const [code, action] of cases) {
			const error = await failure(action);
			assertLifeboatError(error, code);
			const said = everythingIn(error);
			assert.ok(!said.includes('Tr0ub4dor') && !said.includes(body.slice(0, 20)), code);
		}
	});

	test('expired keys are refused before any data flows', async () => {
		const expired = await openpgp.generateKey({
			userIDs: [{ name: 'old' }],
			date: new Date('2020-01-01'),
			keyExpirationTime: 86_400,
		});
		const error = await failure(() =>
			encryptionEncoding('openpgp', { openpgp: { publicKeys: [expired.publicKey] } }),
		);
		assertLifeboatError(error, 'INVALID_KEY');
	});

	test('partial lengths are written at any size as they are read', () => {
		for (const size of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
			const writer = new PacketWriter(Tag.literal);
			const written = Buffer.concat([
				...pieces(sampleBytes(size), [7, 70_000]).map((part) => writer.update(part)),
				writer.final(),
			]);
			assert.equal(written[0], 0xc0 | Tag.literal);
			assert.equal(written.length, 1 + size + Math.floor(size / 65_536) + 5);
		}
	});
});
