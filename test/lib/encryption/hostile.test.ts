import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import type { EncryptionTransformation } from '../../../lib/artifact/manifest';
import {
	createAgeIdentity,
	decryptor,
	encryptionEncoding,
	type EncryptionKeys,
} from '../../../lib/encryption/encryption';
import { assertLifeboatError, attempt, DerivationCounter, sampleBytes, transformed } from './helpers';

const MEBIBYTE = 1024 * 1024;

/** The most memory this process ever had, in bytes. This file has a process of its own, in which nothing else runs. */
const peak = () => process.resourceUsage().maxRSS * 1024;

/** Bytes of a file that a refusal may come after: a header at its longest, and what is read ahead of it. */
const MOST_READ = 4 * MEBIBYTE;

/** Bytes that `repeated` has given since it was called last. */
let given = 0;

/** Header lines that repeat, without keeping them in memory. */
function* repeated(start: string, text: string, bytes: number): Generator<Buffer> {
	given = 0;
	yield Buffer.from(start);
	const block = Buffer.from(text.repeat(Math.ceil(65536 / text.length)));
	for (; given < bytes; given += block.length) yield block;
}

describe('hostile age headers', () => {
	let keys: EncryptionKeys;
	let limit: number;
	let derivations: DerivationCounter;
	const version = 'age-encryption.org/v1\n';
	const salt = 'A'.repeat(22);
	const body = `${'A'.repeat(43)}\n`;
	const end = `--- ${'A'.repeat(43)}\n${'x'.repeat(100)}`;
	const x25519 = `-> X25519 ${'A'.repeat(42)}E\n${body}`;

	const refused = async (
		what: string,
		input: Iterable<Buffer> | string,
		codes = ['DAMAGED'],
		said: Partial<EncryptionTransformation> = {},
	) => {
		given = 0;
		const begun = derivations.count;
		const pieces = typeof input === 'string' ? [Buffer.from(input, 'latin1')] : input;
		const { released, error } = await attempt(
			await decryptor({ type: 'encryption', format: 'age', ...said }, keys),
			pieces as Buffer[],
		);
		assertLifeboatError(error, ...codes);
		assert.equal(released.length, 0, what);
		assert.ok(error.message.length < 300, what);
		assert.ok(given <= MOST_READ, `${what}: ${given} bytes were read`);
		assert.equal(derivations.count, begun, `${what}: a key was derived`);
		assert.ok(peak() < limit, `${what}: ${((peak() - limit) / MEBIBYTE + 100).toFixed(0)} MiB`);
	};

	before(async () => {
		derivations = new DerivationCounter();
		const { identity, recipient } = await createAgeIdentity();
		keys = { identities: [identity], passphrase: 'x' };
		// Everything needed is loaded and was used once.
		const encoding = await encryptionEncoding('age', { recipients: [recipient] });
		const file = await transformed(await encoding.createTransform(), sampleBytes(MEBIBYTE));
		await transformed(await decryptor({ type: 'encryption', format: 'age' }, keys), file);
		const byPassphrase = await encryptionEncoding('age', { passphrase: 'x' }, { scryptLogN: 10 });
		await byPassphrase.createTransform();
		assert.equal(derivations.count, 1, 'they are counted');
		limit = peak() + 100 * MEBIBYTE;
	});
	after(() => derivations.stop());

	test('work factors', async () => {
		for (const factor of [
			'21',
			'22',
			'23',
			'30',
			'63',
			'99',
			'999',
			'1000000000',
			'0',
			'-1',
			'018',
			'1e1',
			'',
			'18 18',
			'x',
		]) {
			const header = `${version}-> scrypt ${salt} ${factor}\n${body}${end}`;
			await refused(`work factor ${factor}`, header);
			// The manifest beside it may be made by the same hand.
			const passphrase = { kdf: 'scrypt', logN: 63 } as const;
			await refused(`work factor ${factor}, and its manifest agrees`, header, ['DAMAGED'], { passphrase });
		}
	});

	test('stanzas', async () => {
		await refused('257', version + x25519.repeat(257) + end);
		await refused('3000', version + x25519.repeat(3000) + end);
		await refused('without end', repeated(version, x25519, 200 * MEBIBYTE));
		await refused('of no known kind', version + `-> grease a b c\n\n`.repeat(256) + end, ['WRONG_KEY']);
		await refused('many scrypt ones', version + `-> scrypt ${salt} 22\n${body}`.repeat(250) + end);
		await refused('scrypt beside others', `${version}-> scrypt ${salt} 10\n${body}${x25519}${end}`);
		await refused('none', version + end, ['WRONG_KEY', 'DAMAGED']);
		for (const stanza of [
			'->\n\n',
			'-> \n\n',
			'->  a\n\n',
			'-> X25519\n\n',
			'-> X25519 A\n\n',
			'-> X25519 A B C\n\n',
		]) {
			await refused(stanza, version + stanza + end);
		}
		await refused('a short salt', `${version}-> scrypt ${salt.slice(2)} 10\n${body}${end}`);
		await refused('a salt with stray bits', `${version}-> scrypt ${salt.slice(1)}B 10\n${body}${end}`);
		await refused('a short body', `${version}-> scrypt ${salt} 10\nAAAA\n${end}`);
		await refused('a low-order share', `${version}-> X25519 ${'A'.repeat(43)}\n${body}${end}`);
	});

	test('lines', async () => {
		await refused('one without end', repeated(version, 'A', 200 * MEBIBYTE));
		await refused('a first one without end', repeated('age-encryption.org/v', '1', 200 * MEBIBYTE));
		await refused('a stanza without end', repeated(`${version}-> X25519 `, 'A', 200 * MEBIBYTE));
		await refused('many arguments', `${version}-> ${'a '.repeat(200_000)}\n\n${end}`);
		await refused('long arguments', `${version}-> ${'a'.repeat(400_000)}\n\n${end}`, ['WRONG_KEY']);
		await refused('a body without end', repeated(`${version}-> x\n`, `${'A'.repeat(64)}\n`, 200 * MEBIBYTE));
		await refused('bytes that are no text', `${version}-> X25519 \0\xff\n${body}${end}`);
		await refused('carriage returns', (version + x25519 + end).replaceAll('\n', '\r\n'));
		await refused('a short MAC', `${version}${x25519}--- AAAA\n${'x'.repeat(100)}`, ['WRONG_KEY']);
		await refused('no MAC', `${version}${x25519}---\n${'x'.repeat(100)}`);
		await refused('a footer without end', repeated(`${version}${x25519}--- `, 'A', 200 * MEBIBYTE));
	});

	test('versions', async () => {
		await refused('2', `age-encryption.org/v2\n${x25519}${end}`, ['UNSUPPORTED_FORMAT']);
		await refused('v0.0', `age-encryption.org/v0.0\n${x25519}${end}`);
		await refused('none', `age-encryption.org/\n${x25519}${end}`);
	});

	test('armour', async () => {
		const begin = '-----BEGIN AGE ENCRYPTED FILE-----\n';
		await refused('white space without end', repeated('', ' \n', 200 * MEBIBYTE));
		await refused('a line without end', repeated(begin, 'A', 200 * MEBIBYTE));
		await refused('empty lines without end', repeated(begin, '\n', 200 * MEBIBYTE));
		await refused('zeros without end', repeated(begin, `${'A'.repeat(64)}\n`, 200 * MEBIBYTE));
		const header = Buffer.from(version).toString('base64');
		await refused('nothing but the version', `${begin}${header}\n-----END AGE ENCRYPTED FILE-----\n`);
	});
});

test('a key that there is no memory for is not taken for a damaged file, nor for a wrong recipient', async () => {
	const encoding = await encryptionEncoding('age', { passphrase: 'x' }, { scryptLogN: 20 });
	const salt = 'A'.repeat(22);
	const file = Buffer.from(
		`age-encryption.org/v1\n-> scrypt ${salt} 20\n${'A'.repeat(43)}\n--- ${'A'.repeat(43)}\n${'x'.repeat(100)}`,
	);
	const aes = await encryptionEncoding('aes-256-gcm', { passphrase: 'x' }, { kdf: 'scrypt', scryptLogN: 20 });
	const limitMemory = (bytes: string) =>
		promisify(execFile)('prlimit', ['--pid', String(process.pid), `--as=${bytes}:`]);
	const size = /^VmSize:\s*(\d+) kB/m.exec(await readFile('/proc/self/status', 'utf8'))![1]!;
	await limitMemory(String(Number(size) * 1024 + 512 * MEBIBYTE));
	try {
		const opener = await decryptor({ type: 'encryption', format: 'age' }, { passphrase: 'x' });
		const { error } = await attempt(opener, file);
		assertLifeboatError(error, 'OUT_OF_MEMORY');
		assert.match(error.message, /1024 MiB/);
		for (const each of [encoding, aes])
			await assert.rejects(each.createTransform(), { code: 'OUT_OF_MEMORY' });
	} finally {
		await limitMemory('unlimited');
	}
});
