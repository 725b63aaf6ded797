import assert from 'node:assert/strict';
import { createDecipheriv, createHmac, hkdfSync, pbkdf2Sync, scryptSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { decryptor, encryptionEncoding } from '../../../lib/encryption/encryption';
import { testEncryption } from './conformance';
import {
	assertLifeboatError,
	attempt,
	DerivationCounter,
	everythingIn,
	sampleBytes,
	transformationOf,
	transformed,
} from './helpers';

const PASSWORD = 'correct horse';
const cheap = { pbkdf2Rounds: 100_000 };

/** As docs/aes-256-gcm-format.md describes it, with nothing of the package: what somebody would write who has only that page. */
function decodeByTheBook(file: Buffer, password: string): Buffer {
	const parameters = file.subarray(0, 48);
	assert.equal(parameters.toString('latin1', 0, 8), 'LBAESGCM');
	assert.equal(parameters[8], 1);
	const cost = parameters.readUInt32BE(12);
	const salt = parameters.subarray(16, 48);
	const passwordKey =
		parameters[9] === 1
			? pbkdf2Sync(password, salt, cost, 32, 'sha256')
			: scryptSync(password, salt, 32, { N: 2 ** cost, r: 8, p: 1, maxmem: 2 ** 31 });
	const derived = (info: string) => Buffer.from(hkdfSync('sha256', passwordKey, parameters, info, 32));
	const mac = createHmac('sha256', derived('lifeboat aes-256-gcm v1 header')).update(parameters).digest();
	assert.ok(mac.equals(file.subarray(48, 80)), 'the MAC of the header');
	const key = derived('lifeboat aes-256-gcm v1 payload');
	const content: Buffer[] = [];
	for (let at = 80, number = 0; at < file.length; at += 65552, number++) {
		const chunk = file.subarray(at, at + 65552);
		const nonce = Buffer.alloc(12);
		nonce.writeUInt32BE(number, 7);
		nonce[11] = at + 65552 >= file.length ? 1 : 0;
		const opener = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
		opener.setAuthTag(chunk.subarray(-16));
		content.push(opener.update(chunk.subarray(0, -16)), opener.final());
	}
	return Buffer.concat(content);
}

for (const [title, options] of [
	['AES-256-GCM with PBKDF2', cheap],
	['AES-256-GCM with scrypt', { kdf: 'scrypt', scryptLogN: 10 }],
] as const) {
	testEncryption(
		() => ({
			name: 'aes-256-gcm',
			targets: { passphrase: PASSWORD },
			options,
			keys: { passphrase: PASSWORD },
			wrongKeys: { passphrase: 'correct horsE' },
			headerLength: () => 80,
			brief: !('kdf' in options),
			costly: !('kdf' in options),
		}),
		title,
	);
}

describe('AES-256-GCM files', () => {
	const encrypt = async (data: Buffer, options = {}, passphrase = PASSWORD) => {
		const encoding = await encryptionEncoding('aes-256-gcm', { passphrase }, options);
		return {
			encoding,
			file: await transformed(await encoding.createTransform(), data),
		};
	};

	test('are what their description says, for a decoder that knows only that', async () => {
		for (const options of [{}, cheap, { kdf: 'scrypt' }, { kdf: 'scrypt', scryptLogN: 11 }] as const) {
			const sizes = [0, 1, 65536, 65537, 200_000];
			for (const size of options === cheap ? sizes : [65537]) {
				const data = sampleBytes(size);
				const { file } = await encrypt(data, options);
				assert.ok(data.equals(decodeByTheBook(file, PASSWORD)), `${size} bytes`);
			}
		}
	});

	test('the example in the description opens, here and for that decoder', async () => {
		const page = await readFile(join(__dirname, '../../../docs/aes-256-gcm-format.md'), 'utf8');
		const block = (title: string) => {
			const text = page.slice(page.indexOf(title));
			return /```\w*\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
		};
		const file = Buffer.from(block('The whole file').replaceAll(/\s/g, ''), 'hex');
		const password = block('The password').trim();
		const content = block('Its content').trimEnd();
		assert.ok(file.length > 80 && password && content, 'the page has an example');
		assert.equal(decodeByTheBook(file, password).toString(), content);
		const opener = await decryptor({ type: 'encryption', format: 'aes-256-gcm' }, { passphrase: password });
		assert.equal((await transformed(opener, file)).toString(), content);
	});

	test('the derivation is in the manifest, with its default, and holds no secret', async () => {
		const { encoding } = await encrypt(Buffer.alloc(0));
		assert.equal(encoding.extension, '.aes');
		assert.deepEqual(encoding.transformation, {
			type: 'encryption',
			format: 'aes-256-gcm',
			passphrase: { kdf: 'pbkdf2-sha256', rounds: 600_000 },
		});
		const scrypt = (await encrypt(Buffer.alloc(0), { kdf: 'scrypt' })).encoding;
		assert.deepEqual(transformationOf(scrypt).passphrase, { kdf: 'scrypt', logN: 17 });
		assert.ok(!JSON.stringify([encoding, scrypt]).includes(PASSWORD));
	});

	test('a cost out of bounds, no password, and recipients are refused', async () => {
		const refused = async (targets: object, options: object, code: string) => {
			await assert.rejects(encryptionEncoding('aes-256-gcm', targets, options), (error) => {
				assertLifeboatError(error, code);
				assert.ok(!everythingIn(error).includes(PASSWORD));
				return true;
			});
		};
		const passphrase = PASSWORD;
		for (const pbkdf2Rounds of [0, 99_999, 10_000_001, 100_000.5, Number.NaN]) {
			await refused({ passphrase }, { pbkdf2Rounds }, 'INVALID_OPTION');
		}
		for (const scryptLogN of [9, 21, 17.5])
			await refused({ passphrase }, { kdf: 'scrypt', scryptLogN }, 'INVALID_OPTION');
		await refused({}, {}, 'KEY_MISSING');
		await refused({ passphrase: '' }, {}, 'KEY_MISSING');
		await refused({ passphrase, recipients: ['age1'] }, {}, 'INVALID_OPTION');
		await assert.rejects(decryptor({ type: 'encryption', format: 'aes-256-gcm' }, {}), {
			code: 'KEY_MISSING',
		});
	});

	test('any of several passphrases opens, and no error tells one', async () => {
		const data = sampleBytes(100);
		const { file, encoding } = await encrypt(data, cheap, 'the old one');
		const open = async (passphrase: string, earlierPassphrases: string[]) =>
			attempt(await decryptor(transformationOf(encoding), { passphrase, earlierPassphrases }), file);
		assert.ok(data.equals((await open('the new one', ['older', 'the old one'])).released));
		const { error, released } = await open('Tr0ub4dor', ['battery staple']);
		assertLifeboatError(error, 'WRONG_KEY');
		assert.equal(released.length, 0);
		assert.doesNotMatch(everythingIn(error), /Tr0ub4dor|battery/);
	});

	test('headers that ask for much are refused before anything is derived', async () => {
		const derivations = new DerivationCounter();
		const { file } = await encrypt(sampleBytes(1000), cheap);
		assert.equal(derivations.count, 1, 'they are counted');
		for (const [code, cost] of [
			[1, 0],
			[1, 1],
			[1, 99_999],
			[1, 10_000_001],
			[1, 0xffffffff],
			[2, 0],
			[2, 9],
			[2, 21],
			[2, 63],
			[2, 0xffffffff],
			[0, 600_000],
			[3, 600_000],
		] as const) {
			const changed = Buffer.from(file);
			changed[9] = code;
			changed.writeUInt32BE(cost, 12);
			const before = process.resourceUsage().maxRSS;
			const { released, error } = await attempt(
				await decryptor({ type: 'encryption', format: 'aes-256-gcm' }, { passphrase: PASSWORD }),
				changed,
			);
			assertLifeboatError(error, 'DAMAGED');
			assert.equal(released.length, 0);
			assert.equal(derivations.count, 1, `${code} ${cost}`);
			assert.ok(process.resourceUsage().maxRSS - before < 20 * 1024, `${code} ${cost}`);
		}
		derivations.stop();
	});

	test('a header other than the manifest describes is refused', async () => {
		const { file } = await encrypt(sampleBytes(10), cheap);
		for (const passphrase of [
			{ kdf: 'pbkdf2-sha256', rounds: 100_001 },
			{ kdf: 'scrypt', logN: 17 },
		] as const) {
			const { error } = await attempt(
				await decryptor({ type: 'encryption', format: 'aes-256-gcm', passphrase }, { passphrase: PASSWORD }),
				file,
			);
			assertLifeboatError(error, 'DAMAGED');
		}
	});
});
