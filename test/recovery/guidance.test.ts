import assert from 'node:assert/strict';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';

import { serializeManifest } from '../../lib/artifact/manifest';
import { applyEncoding } from '../../lib/artifact/transform';
import { createAgeIdentity, encryptionEncoding } from '../../lib/encryption/encryption';
import { rawTar } from '../lib/archive/raw-tar';
import { artifactOf, readWhole } from '../lib/artifact/samples';
import { run } from '../lib/encryption/age-command';

import { recoverIn } from './recover';

const SQL = Buffer.from(
	'--\n-- PostgreSQL database dump\n--\n\nSELECT 1;\n\n--\n-- PostgreSQL database dump complete\n--\n\n',
);

let kit: string;
let identity: string;
let sql: string;
before(async () => {
	kit = await mkdtemp(join(tmpdir(), 'lifeboat-guidance-'));
	await copyFile(join(__dirname, '../../recovery/recover.mjs'), join(kit, 'recover.mjs'));
	const age = await createAgeIdentity();
	identity = age.identity;
	const encrypted = applyEncoding(
		artifactOf(SQL, { kind: 'database', format: 'plain-sql', extension: '.sql', name: 'the shop' }),
		await encryptionEncoding('age', { recipients: [age.recipient] }),
	);
	const { bytes, manifest } = await readWhole(encrypted);
	await mkdir(join(kit, 'my backups'));
	sql = `my backups/${manifest.fileName}`;
	await writeFile(join(kit, sql), bytes);
	await writeFile(join(kit, `${sql}.manifest.json`), serializeManifest(manifest));
	await writeFile(join(kit, `${sql}.sha256`), `${manifest.stored.sha256}  ${manifest.fileName}\n`);
	await writeFile(join(kit, 'identity.txt'), identity);
	await writeFile(join(kit, 'recipient.txt'), age.recipient);
});
after(() => rm(kit, { recursive: true, force: true }));

const KEY = ['-i', 'identity.txt'];
const works = async (...args: string[]) => {
	const { output, said, status } = await recoverIn(kit, args);
	assert.equal(status, 0, said);
	return `${output.toString()}${said}`;
};
const refuses = async (args: string[], expected: RegExp) => {
	const { said, status } = await recoverIn(kit, args);
	assert.equal(status, 1, said);
	assert.match(said, expected);
	assert.doesNotMatch(said, /undefined|\n\s+at |E[A-Z]{4,}:|It failed/);
	return said;
};

test('list names the command that opens each backup, as a shell takes it', async () => {
	for (const place of ['my backups', sql, `${sql}.manifest.json`]) {
		const listed = await works('list', place);
		assert.ok(listed.includes(`> node recover.mjs open '${sql}' -i <identity file>`), listed);
	}
	const [, command = ''] = /> (node .*)/.exec(await works('list', 'my backups'))!;
	const shell = command.replace('node', process.execPath).replace('<identity file>', 'identity.txt');
	assert.ok(SQL.equals(await run('sh', ['-c', `cd '${kit}' && ${shell} -o -`])));
});

test('a folder, a manifest or a checksum file stands for its backups', async () => {
	for (const names of [['my backups'], [`${sql}.manifest.json`], [`${sql}.sha256`], [sql, `${sql}.sha256`]]) {
		const said = await works('verify', ...names, ...KEY);
		assert.equal(said.match(/opens to its end/g)!.length, 1, said);
	}
	await mkdir(join(kit, 'orphans'));
	await copyFile(join(kit, `${sql}.manifest.json`), join(kit, `orphans/${basename(sql)}.manifest.json`));
	await refuses(['verify', 'orphans', ...KEY], /does not exist/);
	assert.match(await works('open', `${sql}.manifest.json`, ...KEY, '-o', 'a.sql'), /Next: psql .* < a\.sql/);
});

test('a folder that is closed hides no backup, and is told of', async () => {
	const unprivileged = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--clear-groups'] : [];
	const disk = await mkdtemp(join(tmpdir(), 'lifeboat-disk-'));
	try {
		await chmod(disk, 0o755);
		await mkdir(join(disk, 'closed'), { mode: 0o000 });
		await copyFile(join(__dirname, '../../recovery/recover.mjs'), join(disk, 'recover.mjs'));
		await writeFile(join(disk, 'shop.sql'), SQL);
		const command = [...unprivileged, process.execPath, 'recover.mjs', 'list', '.'].join(' ');
		const told = await run('sh', ['-c', `cd '${disk}'; ${command} 2>&1; echo "status $?"`]);
		assert.match(told.toString(), /closed could not be read, so what lies there is left out/);
		assert.match(told.toString(), /shop\.sql\n.*NO MANIFEST[\s\S]*status 1/);
	} finally {
		await rm(disk, { recursive: true, force: true });
	}
});

test('what is to be done with the content is said without a manifest, too', async () => {
	for (const [content, expected] of [
		[SQL, /Next: psql .*--single-transaction .*--dbname <empty database> < out/],
		[
			SQL.toString().replaceAll('database dump', 'database cluster dump'),
			/Next: psql .*--dbname postgres < out/,
		],
		['PGDMP\x01\x0e\x00', /Next: pg_restore .* < out-\d\n$/],
		['PGDMP\x01\x0f\x00', /Next: pg_restore .* < out-\d\n.*pg_restore 16 or newer/],
		['PGDMP\x01\x10\x00', /pg_restore 17 or newer/],
		[rawTar({ name: 'a', body: 'a' }), /"unpack"/],
	].entries()) {
		await writeFile(join(kit, 'bare'), expected[0] as Buffer | string);
		assert.match(await works('open', 'bare', '-o', `out-${content}`), expected[1] as RegExp);
	}
	await refuses(['unpack', sql, ...KEY, '-C', 'out'], /a database: node recover\.mjs open 'my backups/);
});

test('a reader that has seen enough is no failure to tell of, and no success', async () => {
	await writeFile(join(kit, 'large.sql'), Buffer.concat([SQL, Buffer.alloc(4 << 20, ' '), SQL]));
	const command = `cd '${kit}'; '${process.execPath}' recover.mjs open large.sql -o - 2>said | head -c 5; echo " \${PIPESTATUS[0]}"`;
	assert.equal((await run('bash', ['-c', command])).toString(), '--\n-- 1\n');
	assert.equal(await readFile(join(kit, 'said'), 'utf8'), '');
});

test('mistakes of somebody in a hurry are told plainly', async () => {
	const said = await refuses(['open', sql, '-i', identity], /-i takes a file/);
	assert.ok(!said.includes(identity), 'the secret is not shown');
	await refuses(['open', sql, '-i', 'recipient.txt'], /recipient\.txt holds no secret key/);
	await writeFile(join(kit, 'pgp.asc'), '-----BEGIN PGP PRIVATE KEY BLOCK-----\n');
	await refuses(['open', sql, '-i', 'pgp.asc'], /gpg --import pgp\.asc/);
	await refuses(['open', sql, '-i', 'nowhere'], /nowhere does not exist/);
	await refuses(['open', 'my backups', ...KEY], /is a folder.*list 'my backups'/);
	await refuses(['open', sql, ...KEY, '-o', 'no folder/a'], /folder no folder does not exist/);
	await refuses(['open', sql, '--key', 'identity.txt'], /--key[\s\S]*--identity <file>/);
	await refuses(['verify', 'nowhere'], /nowhere does not exist/);
	await refuses(['list', 'nowhere'], /nowhere does not exist/);
	await refuses(['verify'], /Say which backup/);
	await refuses(['unpack', '-'], /Say which backup/);
	await writeFile(join(kit, 'a.gpg'), Buffer.from([0x84, 0, 0, 0]));
	const without = await recoverIn(kit, ['verify', 'a.gpg'], undefined, { PATH: '/nowhere' });
	assert.match(without.said, /command gpg is missing: apt install gnupg/);
	const piped = await recoverIn(kit, ['open', '-', ...KEY], SQL);
	assert.ok(SQL.equals(piped.output), piped.said);
});
