import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';

import { packBundle } from '../../lib/archive/bundle';
import type { Artifact } from '../../lib/artifact/artifact';
import { storedArtifact } from '../../lib/artifact/file-artifact';
import { serializeManifest } from '../../lib/artifact/manifest';
import { applyEncoding, type Encoding } from '../../lib/artifact/transform';
import { compressionEncoding } from '../../lib/compression/compression';
import { createAgeIdentity, encryptionEncoding, type EncryptionKeys } from '../../lib/encryption/encryption';
import { recoveryKit } from '../../lib/recovery/recovery-kit';
import { artifactOf, readWhole } from '../lib/artifact/samples';
import { run } from '../lib/encryption/age-command';
import { GnuPg } from '../lib/encryption/gpg-command';
import { createFiles, describeFiles } from '../nodes/fixtures';

import { recoverIn } from './recover';

const NOW = new Date('2026-11-21T02:00:00.000Z');

describe('the recovery kit', () => {
	let home: string;
	let kit: string;
	let uploads: string;
	let gpg: GnuPg;
	let pgp: { publicKey: string; privateKey: string; fingerprint: string };
	let age: { identity: string; recipient: string };
	let ssh: string;
	let tar: Buffer;

	before(async () => {
		home = await mkdtemp(join(tmpdir(), 'lifeboat-kit-'));
		uploads = join(home, 'uploads');
		await createFiles(uploads);
		tar = await run('tar', ['-cf', '-', '-C', uploads, '.']);
		gpg = await GnuPg.create();
		pgp = await gpg.makeKey('backup');
		age = await createAgeIdentity();
		await writeFile(join(home, 'identity.txt'), `# mine\n${age.identity}\n`);
		await writeFile(join(home, 'passphrase.txt'), 'correct horse\n');
		for (const type of ['ed25519', 'rsa']) {
			await run('ssh-keygen', ['-q', '-N', '', '-t', type, '-f', join(home, type)]);
		}
		ssh = await readFile(join(home, 'ed25519.pub'), 'utf8');
		// Somewhere without the package, as on a machine that never had it.
		await run('tar', ['-xf', '-', '-C', home], await recoveryKit({ keys: allKeys(), now: NOW }));
		kit = join(home, 'lifeboat-recovery-kit');
	});
	after(async () => {
		await gpg?.close();
		await rm(home, { recursive: true, force: true });
	});

	const allKeys = (): EncryptionKeys => ({
		recipients: [age.recipient],
		identities: [age.identity],
		passphrase: 'correct horse',
		openpgp: { publicKeys: [pgp.publicKey], privateKeys: [pgp.privateKey] },
	});

	const recover = (args: string[], input?: Buffer, env: NodeJS.ProcessEnv = {}) =>
		recoverIn(kit, args, input, { GNUPGHOME: gpg.home, ...env });

	const backup = async (name: string, artifact: Artifact, ...encodings: Encoding[]) => {
		const whole = encodings.reduce((inner, encoding) => applyEncoding(inner, encoding), artifact);
		const { bytes, manifest } = await readWhole(whole);
		const folder = join(home, name);
		await mkdir(folder, { recursive: true });
		const path = join(folder, manifest.fileName);
		await writeFile(path, bytes);
		await writeFile(`${path}.manifest.json`, serializeManifest(manifest));
		return { path, bytes, manifest };
	};

	test('holds what it needs, and nothing secret unless asked for', async () => {
		assert.deepEqual((await readdir(kit)).sort(), ['README.md', 'keys.txt', 'recover.mjs']);
		const keys = await readFile(join(kit, 'keys.txt'), 'utf8');
		assert.ok(keys.includes(age.recipient) && keys.includes(pgp.fingerprint));
		const secrets = /AGE-SECRET-KEY-1[A-Z0-9]{20}|correct horse|BEGIN PGP PRIVATE/;
		assert.doesNotMatch((await recoveryKit({ keys: allKeys(), now: NOW })).toString('latin1'), secrets);
		const whole = await recoveryKit({ keys: allKeys(), now: NOW, includeSecrets: true });
		for (const secret of [age.identity, 'correct horse', pgp.privateKey]) assert.ok(whole.includes(secret));
		const listed = (await run('tar', ['-tvf', '-'], whole)).toString();
		assert.match(listed, /-rw------- .*identity\.txt/);
		const { output } = await recover(['help']);
		assert.match(output.toString(), /unpack <backup>/);
	});

	test('files come back from every format, with a manifest and without one', async () => {
		const expected = await describeFiles(uploads);
		const identity = ['-i', '../identity.txt'];
		const passphrase = ['--passphrase-file', '../passphrase.txt'];
		const ways: [string, string[], Encoding | undefined][] = [
			['age', identity, await encryptionEncoding('age', { recipients: [age.recipient] })],
			[
				'age-passphrase',
				passphrase,
				await encryptionEncoding('age', { passphrase: 'correct horse' }, { scryptLogN: 10 }),
			],
			[
				'age-ed25519',
				['-i', '../identity.txt', '-i', '../ed25519'],
				await encryptionEncoding('age', { recipients: [ssh] }),
			],
			[
				'age-rsa',
				['-i', '../rsa'],
				await encryptionEncoding('age', { recipients: [await readFile(join(home, 'rsa.pub'), 'utf8')] }),
			],
			['aes', passphrase, await encryptionEncoding('aes-256-gcm', { passphrase: 'correct horse' })],
			[
				'aes-scrypt',
				passphrase,
				await encryptionEncoding('aes-256-gcm', { passphrase: 'correct horse' }, { kdf: 'scrypt' }),
			],
			['openpgp', [], await encryptionEncoding('openpgp', { openpgp: { publicKeys: [pgp.publicKey] } })],
			[
				'openpgp-passphrase',
				passphrase,
				await encryptionEncoding('openpgp', { passphrase: 'correct horse' }),
			],
			['none', [], undefined],
		];
		for (const [index, [name, keys, encryption]] of ways.entries()) {
			const compression = index % 3 === 2 ? [] : [compressionEncoding(index % 3 === 0 ? 'zstd' : 'gzip')];
			const { path, manifest } = await backup(
				name,
				artifactOf(tar),
				...compression,
				...(encryption ? [encryption] : []),
			);
			for (const withManifest of [true, false]) {
				if (!withManifest) await rm(`${path}.manifest.json`);
				const verified = await recover(['verify', path, ...keys]);
				assert.equal(verified.status, 0, `${name}: ${verified.said}`);
				const target = join(home, name, `out-${withManifest}`);
				const { status, said } = await recover(['unpack', path, ...keys, '-C', target]);
				assert.equal(status, 0, `${name}: ${said}`);
				assert.deepEqual(await describeFiles(target), expected, name);
			}
			// Those that ask for a passphrase want a terminal.
			if (name.endsWith('-passphrase')) continue;
			await mkdir(join(home, name, 'by hand'));
			await byHand(name, manifest.restoreCommands[1]!, keys.at(-1));
			assert.deepEqual(await describeFiles(join(home, name, 'by hand')), expected, `${name} by hand`);
		}
	});

	/** Runs a command of a manifest, in the folder of the backup. */
	const byHand = async (name: string, command: string, key = '') => {
		const script = command
			.replace(/<(identity|passphrase) file>/, `'${join(kit, key)}'`)
			.replace('node recover.mjs', `'${process.execPath}' '${kit}/recover.mjs'`)
			.replace('<target folder>', "'by hand'");
		assert.doesNotMatch(script, /<\w/);
		const prepared = `export GNUPGHOME='${gpg.home}'; cd '${join(home, name)}'; ${script}`;
		await run('bash', ['-e', '-o', 'pipefail', '-c', prepared]);
	};

	test('databases come back as SQL, as bundles and through pipes', async () => {
		const sql = Buffer.from(`CREATE TABLE t (a int);\n${'-- row\n'.repeat(50_000)}`);
		const database = (name: string) =>
			artifactOf(sql, {
				name,
				kind: 'database',
				format: 'plain-sql',
				extension: '.sql',
				source: { type: 'database', engine: 'postgres', serverVersion: '15', database: name },
			});
		const encryption = await encryptionEncoding('age', { recipients: [age.recipient] });
		const one = await backup('sql', database('shop'), compressionEncoding('zstd'), encryption);
		const target = join(home, 'shop.sql');
		const opened = await recover(['open', one.path, '-i', '../identity.txt', '-o', target]);
		assert.equal(opened.status, 0, opened.said);
		assert.match(opened.said, /Next: psql /);
		assert.ok(sql.equals(await readFile(target)));
		const again = await recover(['open', one.path, '-i', '../identity.txt', '-o', target]);
		assert.match(again.said, /exists/);
		const piped = await recover(['decrypt', '-i', '../identity.txt'], one.bytes);
		assert.ok(sql.equals(await run('zstd', ['-dc'], piped.output)));

		const aes = await encryptionEncoding('aes-256-gcm', { passphrase: 'correct horse' });
		const other = await backup('aes-sql', database('crm'), compressionEncoding('gzip'), aes);
		const [, opening = ''] = other.manifest.restoreCommands;
		const command = opening
			.replace(/ \| psql .*/, '')
			.replace('<passphrase file>', join(home, 'passphrase.txt'));
		const content = await run('sh', [
			'-c',
			`cd '${join(home, 'aes-sql')}' && cp '${kit}/recover.mjs' . && ${command}`,
		]);
		assert.ok(sql.equals(content), 'as the manifest says');

		const inner = await readWhole(applyEncoding(database('inner'), compressionEncoding('zstd')));
		const bundle = packBundle({
			name: 'nightly',
			now: NOW,
			artifacts: [storedArtifact(inner.manifest, async () => Readable.from([inner.bytes]))],
		});
		const packed = await backup('bundle', bundle, encryption);
		const folder = join(home, 'bundle-out');
		const unpacked = await recover(['unpack', packed.path, '-i', '../identity.txt', '-C', folder]);
		assert.equal(unpacked.status, 0, unpacked.said);
		const [entry] = packed.manifest.entries!;
		const innerSql = await recover(['open', join(folder, entry!.path), '-o', '-']);
		assert.equal(innerSql.status, 0, innerSql.said);
		assert.ok(sql.equals(innerSql.output));
		const { output } = await recover(['list', home]);
		assert.ok(output.includes(age.recipient) && output.includes(packed.path));
	});

	test('damage, wrong keys and hostile archives are refused, and nothing is left', async () => {
		const encryption = await encryptionEncoding('age', { recipients: [age.recipient] });
		const { path, bytes } = await backup('damage', artifactOf(tar), encryption);
		const folder = join(home, 'damage');
		const identity = ['-i', '../identity.txt'];
		const fails = async (args: string[], expected: RegExp) => {
			const before = (await readdir(folder)).sort();
			const { status, said } = await recover(args);
			assert.equal(status, 1, said);
			assert.match(said, expected);
			assert.doesNotMatch(said, /undefined|\n\s+at /);
			assert.deepEqual((await readdir(folder)).sort(), before);
		};
		const out = join(folder, 'out');
		await fails(['unpack', path, '-C', out], /give the identity with -i/);
		await fails(['unpack', path, '-i', '../ed25519', '-C', out], /None of the identities/);
		for (const place of [30, 150, 250, 5000, bytes.length - 1]) {
			const changed = Buffer.from(bytes);
			changed[place]! ^= 1;
			await writeFile(path, changed);
			await fails(['unpack', path, ...identity, '-C', out], /./);
			await fails(['decrypt', path, ...identity, '-o', out], /./);
			await fails(['verify', path, ...identity], /./);
		}
		await writeFile(path, bytes.subarray(0, -1));
		await fails(['open', path, ...identity, '-o', out], /damaged|cut short/);
		await writeFile(path, Buffer.concat([bytes, Buffer.alloc(1)]));
		await fails(['open', path, ...identity, '-o', out], /damaged|cut short/);
		await writeFile(path, bytes);
		const wrong = JSON.parse(await readFile(`${path}.manifest.json`, 'utf8')) as {
			content: { sha256: string };
		};
		wrong.content.sha256 = '0'.repeat(64);
		await writeFile(`${path}.manifest.json`, JSON.stringify(wrong));
		await fails(['unpack', path, ...identity, '-C', out], /content is damaged/);

		const aes = await encryptionEncoding('aes-256-gcm', { passphrase: 'another' }, { pbkdf2Rounds: 100_000 });
		const other = await backup('damage', artifactOf(tar, { name: 'aes' }), aes);
		await fails(
			['open', other.path, '--passphrase-file', '../passphrase.txt', '-o', out],
			/passphrase does not open/,
		);
		await fails(['open', other.path, '-o', out], /--passphrase-file/);

		const evil = join(folder, 'evil');
		await mkdir(evil);
		await writeFile(join(evil, 'x'), 'x');
		for (const [name, transform] of [
			['up', 's,x,../../up,'],
			['absolute', 's,x,/tmp/lifeboat-absolute,'],
		] as const) {
			const archive = await run('tar', ['-cPf', '-', `--transform=${transform}`, '-C', evil, 'x']);
			const { path: hostile } = await backup('damage', artifactOf(archive, { name }));
			await fails(['unpack', hostile, '-C', out], /lead out of the folder/);
		}
		const { path: cut } = await backup('damage', artifactOf(tar.subarray(0, 2048), { name: 'cut' }));
		await fails(['unpack', cut, '-C', out], /ends before its real end/);
	});
});
