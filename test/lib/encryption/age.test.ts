import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import fc from 'fast-check';

import { createAgeIdentity, decryptor, encryptionEncoding } from '../../../lib/encryption/encryption';
import { run, runAgeWithPassphrase } from './age-command';
import { testEncryption, type Subject } from './conformance';
import { assertLifeboatError, attempt, pieces, sampleBytes, transformed } from './helpers';

const foreign = { type: 'encryption', format: 'age' } as const;
const sizes = [0, 1, 65535, 65536, 65537, 131072, 300_000];

/** The header ends with a line that starts with three dashes; the nonce of the payload has 16 bytes. */
function headerLength(file: Buffer): number {
	return file.indexOf('\n', file.indexOf('\n---') + 1) + 1 + 16;
}

async function forRecipients(count: number): Promise<Subject> {
	const pairs = await Promise.all(Array.from({ length: count }, createAgeIdentity));
	const stranger = await createAgeIdentity();
	return {
		name: 'age',
		targets: { recipients: pairs.map(({ recipient }) => recipient) },
		keys: { identities: [pairs.at(-1)!.identity] },
		wrongKeys: { identities: [stranger.identity] },
		headerLength,
		brief: count > 1,
	};
}

testEncryption(() => forRecipients(1), 'age for one recipient');
testEncryption(() => forRecipients(3), 'age for three recipients');
testEncryption(
	() => ({
		name: 'age',
		targets: { passphrase: 'correct horse' },
		options: { scryptLogN: 10 },
		keys: { passphrase: 'correct horse' },
		wrongKeys: { passphrase: 'correct horsE' },
		headerLength,
		brief: true,
	}),
	'age with a passphrase',
);

describe('age and the age command', () => {
	let folder: string;
	const path = (name: string) => join(folder, name);

	before(async () => {
		folder = await mkdtemp(join(tmpdir(), 'lifeboat-age-'));
	});
	after(() => rm(folder, { recursive: true }));

	/** A key file as age-keygen writes it. */
	const keygen = async (name: string) => {
		await run('age-keygen', ['-o', path(name)]);
		const recipient = (await run('age-keygen', ['-y', path(name)])).toString().trim();
		return { text: await readFile(path(name), 'utf8'), recipient };
	};

	test('the command opens files for recipients, by each of the keys', async () => {
		const [one, two] = [await keygen('one.txt'), await keygen('two.txt')];
		const encoding = await encryptionEncoding('age', { recipients: [one.recipient, two.recipient] });
		for (const size of sizes) {
			const data = sampleBytes(size);
			const file = await transformed(await encoding.createTransform(), data);
			for (const key of ['one.txt', 'two.txt']) {
				assert.ok(data.equals(await run('age', ['-d', '-i', path(key)], file)), `${size} bytes, ${key}`);
			}
		}
	});

	test('opens files of the command, with whole key files', async () => {
		const [one, two] = [await keygen('three.txt'), await keygen('four.txt')];
		for (const armor of [[], ['-a']]) {
			for (const size of sizes) {
				const data = sampleBytes(size);
				const file = await run('age', [...armor, '-r', one.recipient, '-r', two.recipient], data);
				for (const identities of [[one.text], [two.text], [`${one.text}\n${two.text}`]]) {
					const opened = await transformed(await decryptor(foreign, { identities }), file);
					assert.ok(data.equals(opened), `${size} bytes`);
				}
			}
		}
	});

	test('the command makes a key pair of ours its own', async () => {
		const { identity, recipient } = await createAgeIdentity();
		await writeFile(path('ours.txt'), `${identity}\n`, { mode: 0o600 });
		assert.equal((await run('age-keygen', ['-y', path('ours.txt')])).toString().trim(), recipient);
	});

	test('passphrases, both ways, with the default work factor', async () => {
		const passphrase = 'drei Türme, 4 häuser $"\\';
		const data = sampleBytes(100_000);
		await writeFile(path('plain'), data);
		const encoding = await encryptionEncoding('age', { passphrase });
		assert.deepEqual(encoding.transformation, {
			type: 'encryption',
			format: 'age',
			passphrase: { kdf: 'scrypt', logN: 18 },
		});
		await writeFile(path('ours.age'), await transformed(await encoding.createTransform(), data));
		await runAgeWithPassphrase(['-d', '-o', path('ours.out'), path('ours.age')], [passphrase]);
		assert.ok(data.equals(await readFile(path('ours.out'))));

		await runAgeWithPassphrase(['-p', '-o', path('theirs.age'), path('plain')], [passphrase, passphrase]);
		const theirs = await readFile(path('theirs.age'));
		assert.ok(data.equals(await transformed(await decryptor(foreign, { passphrase }), theirs)));
	});

	test('the command refuses what is refused here, and the other way round', async () => {
		const { text, recipient } = await keygen('five.txt');
		const file = await run('age', ['-r', recipient], sampleBytes(200_000));
		for (const broken of [
			file.subarray(0, -1),
			file.subarray(0, headerLength(file) + 65552),
			Buffer.concat([file, file]),
		]) {
			await assert.rejects(run('age', ['-d', '-i', path('five.txt')], broken));
			const { error } = await attempt(await decryptor(foreign, { identities: [text] }), broken);
			assertLifeboatError(error, 'DAMAGED');
		}
	});

	test('armour: white space around it, either line end, any cut; nothing else', async () => {
		const { text, recipient } = await keygen('six.txt');
		for (const size of [0, 30, 48 * 3 - 32, 20_000]) {
			const data = sampleBytes(size);
			const armored = (await run('age', ['-a', '-r', recipient], data)).toString('latin1');
			const open = async (file: string, cuts: number[] = []) =>
				attempt(await decryptor(foreign, { identities: [text] }), pieces(Buffer.from(file, 'latin1'), cuts));
			const lines = armored.trimEnd().split('\n');
			const crlf = armored.replaceAll('\n', '\r\n');
			const good = [
				armored,
				crlf,
				armored.trimEnd(),
				`\n \r\n\t${armored}\n  \n`,
				`${' '.repeat(1000)}${armored}`,
			];
			for (const file of good) {
				const { released, error } = await open(file);
				assert.equal(error, undefined, `${size} bytes: ${JSON.stringify(file.slice(0, 60))}`);
				assert.ok(data.equals(released));
			}
			await fc.assert(
				fc.asyncProperty(fc.array(fc.nat(), { maxLength: 12 }), async (cuts) => {
					const { released, error } = await open(crlf, cuts);
					assert.equal(error, undefined);
					assert.ok(data.equals(released));
				}),
				{ numRuns: 25, seed: 1 },
			);
			const bad: Record<string, string> = {
				'text before it': `x${armored}`,
				'text behind it': `${armored}x`,
				'a second file behind it': armored + armored,
				'too much white space before it': ' '.repeat(3000) + armored,
				'too much white space behind it': armored + ' '.repeat(3000),
				'no end line': lines.slice(0, -1).join('\n') + '\n',
				'half an end line': armored.slice(0, -10),
				'an empty line': [...lines.slice(0, 2), '', ...lines.slice(2)].join('\n'),
				'lines of another length': [lines[0], lines.slice(1, -1).join(''), lines.at(-1)].join('\n'),
				'short lines': [
					lines[0],
					...(lines
						.slice(1, -1)
						.join('')
						.match(/.{1,60}/g) ?? []),
					lines.at(-1),
				].join('\n'),
				'another alphabet': armored.replace(lines[1]!, lines[1]!.slice(0, -1) + '_'),
				'a space within': armored.replace(lines[1]!, ` ${lines[1]!.slice(1)}`),
				'another kind of file': armored.replaceAll('AGE ENCRYPTED FILE', 'PGP MESSAGE'),
			};
			for (const [what, file] of Object.entries(bad)) {
				if (what === 'short lines' && lines.length <= 4) continue;
				const { released, error } = await open(file);
				assertLifeboatError(error, 'DAMAGED');
				assert.ok(data.subarray(0, released.length).equals(released), what);
			}
		}
	});
});
