import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import * as openpgp from 'openpgp';

import { createAgeIdentity } from '../../lib/encryption/encryption';

import { readBinary, runWorkflow, type WorkflowRun } from './engine';
import { createFiles, temporaryFolder } from './fixtures';
import { testCredential } from './node-methods';
import { nodePackage } from './package-loader';

describe('the node Encrypt', () => {
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;
	let destination: string;
	let keys: Awaited<ReturnType<typeof createAgeIdentity>>;
	let other: typeof keys;
	let pgp: { publicKey: string; privateKey: string };
	let all: Record<string, string>;
	let run: (
		nodes: WorkflowRun['nodes'],
		credential?: Record<string, string>,
	) => ReturnType<typeof runWorkflow>;

	before(async () => {
		folder = await temporaryFolder();
		destination = join(folder.path, 'destination');
		await mkdir(destination);
		await createFiles(join(folder.path, 'uploads'));
		[keys, other] = await Promise.all([createAgeIdentity(), createAgeIdentity()]);
		pgp = await openpgp.generateKey({
			userIDs: [{ name: 'Backup' }],
			passphrase: 'key secret',
			type: 'ecc',
			curve: 'ed25519Legacy',
		});
		all = {
			...{ recipients: keys.recipient, identity: keys.identity, passphrase: 'correct horse' },
			...{ openpgpPublicKeys: pgp.publicKey, openpgpPrivateKeys: pgp.privateKey },
			...{ openpgpSigningKey: pgp.privateKey, openpgpKeyPassphrase: 'key secret' },
		};
		run = async (nodes, credential = all) =>
			await runWorkflow({
				nodes,
				allowedFolders: [folder.path],
				credentials: { lifeboatEncryptionApi: credential },
			});
	});
	after(async () => await folder?.remove());

	const archive = () => ({
		type: 'archiveFiles',
		parameters: { name: 'files', paths: [join(folder.path, 'uploads')], handOver: 'binary' },
	});
	const decrypt = {
		type: 'encrypt',
		name: 'decrypt',
		parameters: { operation: 'decrypt', handOver: 'binary' },
	};
	const secrets = /correct horse|AGE-SECRET|PRIVATE KEY|key secret/;

	test('every format gives back the very bytes it took', async () => {
		for (const [parameters, extension] of [
			[{ encryptWith: 'age', encryptFor: 'recipients' }, '.age'],
			[{ encryptWith: 'age', encryptFor: 'passphrase' }, '.age'],
			[{ encryptWith: 'openpgp', encryptFor: 'recipients' }, '.gpg'],
			[{ encryptWith: 'openpgp', encryptFor: 'passphrase' }, '.gpg'],
			[{ encryptWith: 'aes-256-gcm', pbkdf2Rounds: 100_000 }, '.aes'],
			[{ encryptWith: 'aes-256-gcm', keyDerivation: 'scrypt', scryptLogN: 10 }, '.aes'],
		] as const) {
			const result = await run([archive(), { type: 'encrypt', parameters: { ...parameters } }, decrypt]);
			result.assertSuccess();
			const bytes = async (node: string) => await readBinary(result.node(node).items[0]!.binary!.data!);
			assert.deepEqual(await bytes('decrypt'), await bytes('archiveFiles'));
			const [{ manifest }] = result.json('encrypt') as [{ manifest: { fileName: string } }];
			assert.ok(manifest.fileName.endsWith(extension), manifest.fileName);
			assert.doesNotMatch(JSON.stringify(manifest), secrets);
		}
	});

	test('an earlier passphrase still opens what was encrypted with it', async () => {
		for (const encryptWith of ['age', 'openpgp', 'aes-256-gcm']) {
			const backup = [archive(), { type: 'encrypt', parameters: { encryptWith, encryptFor: 'passphrase' } }];
			const stored = {
				type: 'upload',
				parameters: { storage: 'local', folder: destination, prefix: encryptWith },
			};
			(await run([...backup, stored], { passphrase: 'old one' })).assertSuccess();
			const download = {
				type: 'upload',
				parameters: { operation: 'download', storage: 'local', folder: destination, prefix: encryptWith },
			};
			const rotated = { passphrase: 'new one', earlierPassphrases: 'older one\nold one' };
			(await run([download, decrypt], rotated)).assertSuccess();
			const wrong = await run([download, decrypt], {
				passphrase: 'new one',
				earlierPassphrases: 'older one',
			});
			assert.match(wrong.error?.message ?? '', /None of the 2 passphrases/);
			assert.doesNotMatch(wrong.error?.text ?? '', /new one|older one/);
		}
	});

	test('what the credential lacks is named', async () => {
		for (const [parameters, field] of [
			[{ encryptWith: 'age' }, 'Age Recipients'],
			[{ encryptWith: 'openpgp' }, 'OpenPGP Public Keys'],
			[{ encryptWith: 'openpgp', encryptFor: 'passphrase' }, 'Passphrase'],
			[{ encryptWith: 'aes-256-gcm' }, 'Passphrase'],
		] as const) {
			const result = await run([archive(), { type: 'encrypt', parameters: { ...parameters } }], {
				identity: keys.identity,
			});
			assert.match(result.error?.message ?? '', new RegExp(field));
		}
	});

	test('Create Key makes a pair that age-keygen knows, and hides its secret half', async () => {
		const result = await run([{ type: 'encrypt', parameters: { operation: 'createKey' } }]);
		result.assertSuccess();
		const [{ identity, recipient }] = result.json('encrypt') as [{ identity: string; recipient: string }];
		assert.equal(execFileSync('age-keygen', ['-y'], { input: identity }).toString().trim(), recipient);
		const { description } = (await nodePackage()).getNode('encrypt').type as {
			description: { sensitiveOutputFields?: string[] };
		};
		assert.deepEqual(description.sensitiveOutputFields, ['identity']);
		assert.equal(result.node('encrypt').hints.length, 1);
	});

	test('Re-Encrypt changes the keys of an incoming backup, and of a stored one in its place', async () => {
		const rotated = { recipients: other.recipient, identity: keys.identity };
		const stored = {
			type: 'upload',
			parameters: { storage: 'local', folder: destination, prefix: 'rotated' },
		};
		const backup = [archive(), { type: 'encrypt' }, stored];
		const first = await run(backup);
		first.assertSuccess();
		const [{ stored: place }] = first.json('upload') as [{ stored: { key: string } }];
		const again = await run(
			[
				{
					type: 'encrypt',
					parameters: {
						...{ operation: 'reencrypt', backupSource: 'stored', storage: 'local', folder: destination },
						key: place.key,
					},
				},
			],
			rotated,
		);
		again.assertSuccess();
		const [{ replaced, stored: now }] = again.json('encrypt') as [
			{ replaced: string; stored: { key: string } },
		];
		assert.equal(replaced, place.key);
		const names = await readdir(join(destination, 'rotated'));
		assert.deepEqual(
			names.sort(),
			['', '.manifest.json', '.sha256'].map((end) => now.key.slice(8) + end).sort(),
		);
		const identity = join(folder.path, 'identity.txt');
		await writeFile(identity, other.identity);
		const content = execFileSync('sh', [
			'-c',
			`age -d -i ${identity} < "$1" | zstd -d | tar -t`,
			'sh',
			join(destination, now.key),
		]);
		assert.match(content.toString(), /run\.sh/);
		const passOn = await run(
			[
				{
					type: 'upload',
					parameters: { operation: 'download', storage: 'local', folder: destination, prefix: 'rotated' },
				},
				{
					type: 'encrypt',
					name: 'reencrypt',
					parameters: { operation: 'reencrypt', encryptFor: 'passphrase', encryptWith: 'openpgp' },
				},
				{ ...decrypt, parameters: { operation: 'decrypt' } },
			],
			{ identity: other.identity, passphrase: 'correct horse' },
		);
		passOn.assertSuccess();
		const [{ manifest, artifact }] = passOn.json('decrypt') as [
			{ manifest: { content: { sha256: string } }; artifact: { path: string } },
		];
		assert.ok(manifest.content.sha256 && artifact.path);
		await assert.rejects(readFile(artifact.path), { code: 'ENOENT' });
	});

	test('Create Recovery Kit makes an archive with the script, and with secrets only if asked to', async () => {
		for (const secretKeys of ['leaveOut', 'include']) {
			const result = await run([{ type: 'encrypt', parameters: { operation: 'recoveryKit', secretKeys } }]);
			result.assertSuccess();
			const kit = await readBinary(result.node('encrypt').items[0]!.binary!.data!);
			const names = execFileSync('tar', ['-tf', '-'], { input: kit }).toString();
			assert.match(names, /recover\.mjs/);
			assert.ok(kit.includes(keys.recipient));
			for (const secret of [keys.identity, 'correct horse', 'BEGIN PGP PRIVATE KEY BLOCK']) {
				// The script and the page name the kinds of keys, so only whole secrets count.
				assert.equal(kit.includes(secret), secretKeys === 'include', `${secretKeys}: ${secret.slice(0, 15)}`);
			}
			assert.doesNotMatch(JSON.stringify(result.json('encrypt')), secrets);
		}
	});

	test("the credential's test knows OpenPGP keys", async () => {
		const result = async (data: Record<string, string>) =>
			await testCredential('encrypt', 'lifeboatEncryptionApi', data);
		const good = await result(all);
		assert.equal(good.status, 'OK', good.message);
		assert.match(good.message, /private key opens/);
		const keyPassphrase = { openpgpKeyPassphrase: 'key secret' };
		const valid: Record<string, string>[] = [
			{ openpgpPublicKeys: pgp.publicKey },
			{ openpgpPrivateKeys: pgp.privateKey, ...keyPassphrase },
			{ openpgpSigningKey: pgp.privateKey, ...keyPassphrase },
		];
		for (const data of valid) {
			const { status, message } = await result(data);
			assert.equal(status, 'OK', message);
		}
		const stranger = await openpgp.generateKey({ userIDs: [{ name: 'Stranger' }] });
		const invalid: Record<string, string>[] = [
			{ openpgpPublicKeys: 'nonsense' },
			{ openpgpPublicKeys: pgp.publicKey, openpgpPrivateKeys: stranger.privateKey },
			{ openpgpPrivateKeys: pgp.privateKey, openpgpKeyPassphrase: 'wrong' },
			{ openpgpSigningKey: pgp.privateKey },
		];
		for (const data of invalid) {
			const { status, message } = await result(data);
			assert.equal(status, 'Error', JSON.stringify(Object.keys(data)));
			assert.doesNotMatch(message, secrets);
		}
	});
});
