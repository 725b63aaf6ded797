import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, beforeEach, describe, test } from 'node:test';

import { packBundle } from '../../lib/archive/bundle';
import { storedArtifact } from '../../lib/artifact/file-artifact';
import { serializeManifest, type Manifest } from '../../lib/artifact/manifest';
import { applyEncoding } from '../../lib/artifact/transform';
import { compressionEncoding } from '../../lib/compression/compression';
import { encryptionEncoding } from '../../lib/encryption/encryption';
import { rawTar, type RawEntry } from '../lib/archive/raw-tar';
import { artifactOf, readWhole } from '../lib/artifact/samples';
import { run } from '../lib/encryption/age-command';
import { GnuPg } from '../lib/encryption/gpg-command';

import { recoverIn } from './recover';

const SQL = Buffer.from(
	`--\n-- PostgreSQL database dump\n--\n\nCREATE TABLE t (a int);\n${'-- row\n'.repeat(9_000)}--\n-- PostgreSQL database dump complete\n--\n\n`,
);

describe('recover.mjs', () => {
	let kit: string;
	let folder: string;
	before(async () => {
		kit = await mkdtemp(join(tmpdir(), 'lifeboat-kit-'));
		await copyFile(join(__dirname, '../../recovery/recover.mjs'), join(kit, 'recover.mjs'));
	});
	after(() => rm(kit, { recursive: true, force: true }));
	beforeEach(async () => {
		folder = await mkdtemp(join(kit, 'case-'));
	});

	const write = async (name: string, content: Buffer | string) => {
		await writeFile(join(folder, name), content);
		return join(folder, name);
	};
	const fails = async (args: string[], expected: RegExp) => {
		const existed = (await readdir(folder)).sort();
		const { status, said } = await recoverIn(kit, args);
		assert.equal(status, 1, said);
		assert.match(said, expected);
		assert.doesNotMatch(said, /undefined|\n\s+at /);
		assert.deepEqual((await readdir(folder)).sort(), existed, 'nothing is made, and nothing removed');
	};
	const works = async (args: string[]) => {
		const result = await recoverIn(kit, args);
		assert.equal(result.status, 0, result.said);
		return result;
	};

	test('takes no manifest and no checksum for missing that is there but can not be read', async () => {
		for (const ending of ['sha256', 'manifest.json']) {
			const file = await write(`${ending}.sql`, SQL);
			await mkdir(`${file}.${ending}`);
			await fails(['verify', file], new RegExp(`${ending.replace('.', '\\.')} could not be read`));
		}
	});

	test('opens compressed files of many parts to the end of the last one', async () => {
		for (const [name, command] of [
			['a.sql.zst', ['zstd', '-c']],
			['a.sql.gz', ['gzip', '-c']],
		] as const) {
			const parts = [SQL.subarray(0, 20_000), SQL.subarray(20_000, 20_001), SQL.subarray(20_001)];
			const compressed = await Promise.all(parts.map((part) => run(command[0], command.slice(1), part)));
			const file = await write(name, Buffer.concat(compressed));
			assert.ok(SQL.equals((await works(['open', file, '-o', '-'])).output), name);
			const { output } = await works(['verify', file]);
			assert.match(output.toString(), /a SQL dump with its last line/);
			await writeFile(file, Buffer.concat(compressed).subarray(0, -1));
			await fails(['verify', file], /cut short|zstd failed/);
		}
	});

	test('without a manifest, does not call whole what its own format says is cut', async () => {
		await fails(['verify', await write('cut.sql', SQL.subarray(0, -40))], /no last line/);
		const tar = rawTar(file('a', 'content'), file('b', 'x'.repeat(2000)));
		for (const length of [512, 1024, 1536, 3000, tar.length - 512, tar.length - 1]) {
			const cut = await write(`cut-${length}.tar`, tar.subarray(0, length));
			await fails(['verify', cut], /ends before its real end/);
			await fails(['unpack', cut, '-C', join(folder, 'out')], /ends before its real end/);
		}
		await fails(['verify', await write('empty.tar', '')], /is empty/);
		const unknown = /Nothing tells whether/;
		await fails(['verify', await write('damaged.sql.zst', 'not at all')], unknown);
		await fails(['verify', await write('cut.dump', 'PGDMP and so on')], unknown);
		const whole = await works(['verify', await write('whole.tar', tar)]);
		assert.match(whole.output.toString(), /an archive of 2 entries, with its end/);
		const joined = await write('joined.tar', Buffer.concat([tar, tar]));
		await fails(['verify', joined], /Something follows/);
		await fails(['unpack', joined, '-C', join(folder, 'out')], /Something follows/);
	});

	test('without a manifest, compares with the checksum file', async () => {
		const dump = await write('a.dump', 'PGDMP and so on');
		await write('a.dump.sha256', await run('sh', ['-c', `cd '${folder}' && sha256sum a.dump`]));
		const { output } = await works(['verify', dump]);
		assert.match(output.toString(), /SHA-256 of the checksum file/);
		await writeFile(dump, 'PGDMP and so oN');
		await fails(['verify', dump], /file is damaged/);
		await fails(['open', dump, '-o', join(folder, 'out')], /file is damaged/);
	});

	test('verifies all the files that it is given, and leaves none alone', async () => {
		const good = await write('good.sql', SQL);
		const bad = await write('bad.sql', SQL.subarray(0, -40));
		const { output } = await works(['verify', good, await write('better.sql', SQL)]);
		assert.equal(output.toString().match(/\.sql: opens to its end/g)!.length, 2);
		await fails(
			['verify', good, bad, join(folder, 'better.sql')],
			/bad\.sql: The dump has no last line[\s\S]*1 of 3 does not hold/,
		);
		for (const command of ['open', 'decrypt', 'unpack'])
			await fails([command, good, bad, '-C', join(folder, 'out')], /one backup at a time/);
	});

	test('removes and replaces nothing that was there', async () => {
		const tar = await write('a.tar', rawTar(file('a', 'content')));
		const target = join(folder, 'target');
		await write('target.part', 'precious');
		await write('target', 'precious');
		await fails(['unpack', tar, '-C', target], /target is a file/);
		await fails(['open', tar, '-o', target], /target exists/);
		await rm(target);
		await works(['open', tar, '-o', target]);
		await rm(target);
		await works(['unpack', tar, '-C', target]);
		assert.equal(await readFile(join(folder, 'target.part'), 'utf8'), 'precious');
		await fails(['unpack', tar, '-C', target], /not empty/);
		await rm(join(target, 'a'));
		await works(['unpack', tar, '-C', target]);
		assert.deepEqual(await readdir(target), ['a']);
	});

	test('unpacks names that only other systems refuse, and folders closed to their owner', async () => {
		const tar = rawTar(
			file('C: a\\b', 'content'),
			{ name: 'closed/', type: '5', mode: 0o555 },
			{ ...file('closed/in', 'it'), mode: 0o400 },
			{ name: 'second', type: '1', linkName: 'closed/in' },
			{ name: 'link', type: '2', linkName: './closed' },
		);
		await mkdir(join(folder, 'out'));
		await works(['unpack', await write('a.tar', tar), '-C', join(folder, 'out')]);
		const read = (name: string) => readFile(join(folder, 'out', name), 'utf8');
		assert.deepEqual(await Promise.all(['C: a\\b', 'closed/in', 'second', 'link/in'].map(read)), [
			...['content', 'it', 'it', 'it'],
		]);
	});

	test('writes nothing through links, wherever they lead together', async () => {
		const target = join(folder, 'out');
		const roundabout = rawTar(
			{ name: 's/t/', type: '5' },
			{ name: 's/t/up', type: '2', linkName: '../..' },
			{ name: 'far', type: '2', linkName: 's/t/up/..' },
			{ name: 'far/evil', type: '2', linkName: 'evil' },
		);
		const { said } = await works(['unpack', await write('a.tar', roundabout), '-C', target]);
		assert.match(said, /Left out: far -> s\/t\/up\/\.\..*\n.*1 links left out/);
		assert.deepEqual((await readdir(folder)).sort(), ['a.tar', 'out']);
		assert.equal(await readlink(join(target, 'far/evil')), 'evil');
		await rm(target, { recursive: true });
		for (const [expected, ...entries] of [
			[/lead out/, { name: 'a', type: '1', linkName: '../../outside' }],
			[
				/twice/,
				{ name: 'a', type: '2', linkName: 'b' },
				file('a', 'x'),
				{ name: 'a', type: '2', linkName: 'b' },
			],
			[/twice/, file('a', 'x'), file('a', 'y')],
			[/twice/, file('a', 'x'), file('a/b', 'y')],
			[/not unpacked/, { name: 'a', type: '3' }],
			[/no file has a size/, { name: 'a/', body: 'hidden' }],
			[/no file has a size/, file('a', 'x'), { name: 'b', type: '1', linkName: 'a', body: 'hidden' }],
		] as const) {
			const hostile = await write('hostile.tar', rawTar(...(entries as RawEntry[])));
			await fails(['unpack', hostile, '-C', target], expected);
		}
	});

	test('does not believe a manifest that is newer, damaged, or none', async () => {
		const { bytes, manifest } = await readWhole(artifactOf(SQL, { format: 'plain-sql', extension: '.sql' }));
		const sql = await write('a.sql', bytes);
		for (const [text, expected] of [
			[JSON.stringify({ ...manifest, formatVersion: 2 }), /newer version/],
			[serializeManifest(manifest).slice(0, -20), /is damaged/],
			['null', /no manifest/],
			[JSON.stringify({ ...manifest, stored: {} }), /no manifest/],
			[JSON.stringify({ ...manifest, transformations: [{}] }), /no manifest/],
		] as const) {
			await writeFile(`${sql}.manifest.json`, text);
			await fails(['verify', sql], expected);
			await fails(['open', sql, '-o', join(folder, 'out')], expected);
			const other = await write('other.sql', SQL);
			const { output, said, status } = await recoverIn(kit, ['list', folder]);
			assert.equal(status, 1, 'a problem shows in the status');
			assert.match(output.toString(), /other\.sql\n.*NO MANIFEST/, 'and keeps no other from being listed');
			assert.match(`${output.toString()}${said}`, expected);
			await rm(other);
		}
	});

	test('a bundle whose manifest is lost gives the manifests within back', async () => {
		const inner = await readWhole(
			applyEncoding(artifactOf(SQL, { format: 'plain-sql', extension: '.sql' }), compressionEncoding('zstd')),
		);
		const artifacts = [storedArtifact(inner.manifest, async () => Readable.from([inner.bytes]))];
		const bundle = await readWhole(packBundle({ name: 'all', now: new Date(), artifacts }));
		const path = await write('all.tar', bundle.bytes);
		await works(['unpack', path, '-C', join(folder, 'out')]);
		const { fileName } = inner.manifest;
		const { output } = await works(['verify', join(folder, 'out', fileName)]);
		assert.match(output.toString(), /what the manifest says/);

		const hostile: Manifest = {
			...bundle.manifest,
			entries: [{ path: '../evil', manifest: inner.manifest }],
		};
		await writeFile(`${path}.manifest.json`, serializeManifest(hostile));
		await fails(['unpack', path, '-C', join(folder, 'out-2')], /lead out of the folder/);
		await fails(['verify', path], /does not hold the backups/);
	});

	test('a signature that can not be checked keeps no backup from being opened', async () => {
		const gpg = await GnuPg.create();
		const stranger = await GnuPg.create();
		try {
			const { publicKey } = await gpg.makeKey('backup');
			const { privateKey } = await stranger.makeKey('signer');
			const encryption = await encryptionEncoding('openpgp', {
				openpgp: { publicKeys: [publicKey], signingKeys: [privateKey] },
			});
			const { bytes } = await readWhole(applyEncoding(artifactOf(SQL), encryption));
			const env = { GNUPGHOME: gpg.home };
			const signed = await write('a.sql.gpg', bytes);
			const { output, said, status } = await recoverIn(kit, ['open', signed, '-o', '-'], undefined, env);
			assert.equal(status, 0, said);
			assert.match(said, /who made it was not checked/);
			assert.ok(SQL.equals(output));
			const changed = Buffer.from(bytes);
			changed[bytes.length - 30]! ^= 1;
			await writeFile(signed, changed);
			const refused = await recoverIn(kit, ['open', signed, '-o', '-'], undefined, env);
			assert.equal(refused.status, 1, refused.said);
		} finally {
			await gpg.close();
			await stranger.close();
		}
	});
});

function file(name: string, content: string): RawEntry {
	return { name, body: content };
}
