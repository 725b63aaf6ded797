import assert from 'node:assert/strict';
import { mkdir, open, readdir, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import type { WorkflowRun } from './engine';
import { createFiles, describeDatabase, exec, sql, staged, stagedInTheEnd } from './fixtures';
import { dump, openShop, type Shop } from './shop';

/** What n8n would replace by a canned text, and what no operator should have to read. */
const unreadable = /ENOENT|EACCES|ECONN|ETIMEDOUT|EEXIST|EPERM|ENOSPC|undefined|\[object|^\s*at /m;

describe('failures end in a clear error and leave nothing behind', () => {
	let shop: Shop;

	before(async () => {
		shop = await openShop({ orders: 100_000 });
		await sql(shop.server, 'postgres', 'CREATE DATABASE target');
	});
	after(async () => {
		await shop?.close();
	});

	const upload = (prefix: string) => shop.upload(prefix);
	const download = (prefix: string) => shop.download(prefix);
	const restore = { type: 'restore', parameters: { targetDatabase: 'target' } };

	const run = async ({ nodes, ...more }: Pick<WorkflowRun, 'nodes'> & Partial<WorkflowRun>) =>
		await shop.run(nodes, more);

	/** Expects a failure that an operator can act on, and that nothing is left in the staging folder. */
	async function fails(
		workflow: Parameters<typeof run>[0],
		message: RegExp,
		description = /\w/,
	): Promise<void> {
		const result = await run(workflow);
		assert.equal(result.status, 'error');
		const { error } = result;
		assert.match(error!.message, message);
		assert.match(error!.description ?? '', description);
		assert.doesNotMatch(`${error!.message}\n${error!.description}`, unreadable);
		for (const secret of ['correct horse', shop.server.password, 'AGE-SECRET-KEY']) {
			assert.ok(!error!.text.includes(secret), 'a secret in the error');
		}
		assert.deepEqual(await staged(shop.folder), []);
	}

	const inTarget = async () =>
		(
			await sql(
				shop.server,
				'target',
				`SELECT count(*)::int FROM pg_class WHERE relnamespace = 'public'::regnamespace`,
			)
		)[0]![0];

	test('a wrong passphrase', async () => {
		const encrypt = { type: 'encrypt', parameters: { encryptFor: 'passphrase' } };
		(await run({ nodes: [dump, encrypt, upload('passphrase')] })).assertSuccess();
		const wrong = { ...shop.credentials, lifeboatEncryptionApi: { passphrase: 'wrong' } };
		await fails({ nodes: [download('passphrase'), restore], credentials: wrong }, /passphrase/i);
		assert.equal(await inTarget(), 0);
	});

	test('no key at all', async () => {
		(await run({ nodes: [dump, { type: 'encrypt' }, upload('nokey')] })).assertSuccess();
		const none = { postgres: shop.credentials.postgres! };
		await fails({ nodes: [download('nokey'), restore], credentials: none }, /shop-.*encrypted|key|identity/i);
	});

	test('a backup of an earlier execution, as a step that is run alone or pinned data pass it on', async () => {
		const earlier = (await run({ nodes: [dump] })).assertSuccess();
		const input = earlier.node('dumpDatabase').items.map(({ json }) => ({ json }));
		for (const node of [upload('gone'), { type: 'encrypt' }, { type: 'verifyChecksum' }, restore]) {
			await fails(
				{ nodes: [node], input },
				/staged file of the backup shop-.* is gone/,
				/Run the whole workflow/,
			);
		}
		assert.deepEqual(await readdir(join(shop.destination, 'gone')).catch(() => []), []);
	});

	test('a flipped bit in the stored object', async () => {
		(await run({ nodes: [dump, upload('flipped')] })).assertSuccess();
		const name = (await readdir(join(shop.destination, 'flipped'))).sort()[0]!;
		const path = join(shop.destination, 'flipped', name);
		const file = await open(path, 'r+');
		const middle = Math.floor((await stat(path)).size / 2);
		const byte = Buffer.alloc(1);
		await file.read(byte, 0, 1, middle);
		byte[0]! ^= 1;
		await file.write(byte, 0, 1, middle);
		await file.close();
		await fails({ nodes: [download('flipped'), restore] }, new RegExp(`${name}.*damaged`));
		assert.equal(await inTarget(), 0);
	});

	test('a flipped bit in a staged file', async () => {
		const flip = {
			name: 'Flip',
			async run(items: Parameters<Extract<WorkflowRun['nodes'][number], { run: unknown }>['run']>[0]) {
				const file = await open((items[0]!.json.artifact as { path: string }).path, 'r+');
				const byte = Buffer.alloc(1);
				await file.read(byte, 0, 1, 100);
				byte[0]! ^= 1;
				await file.write(byte, 0, 1, 100);
				await file.close();
				return items;
			},
		};
		await fails({ nodes: [dump, flip, { type: 'verifyChecksum' }] }, /shop-.*damaged/);
		await fails({ nodes: [dump, flip, upload('staged-flip')] }, /shop-.*damaged/);
		assert.deepEqual(await readdir(join(shop.destination, 'staged-flip')).catch(() => []), []);
	});

	test('a full disk, where the backup is staged and where it is stored', async () => {
		const small = join(shop.folder, 'small');
		await mkdir(small);
		await exec('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', small]);
		try {
			const none = { ...dump, parameters: { ...dump.parameters, compression: 'none' } };
			const result = await run({ nodes: [none], allowedFolders: [small] });
			assert.match(result.error!.message, /No space left/i);
			assert.doesNotMatch(`${result.error!.message}${result.error!.description}`, unreadable);
			assert.deepEqual(await staged(small), []);
			const toSmall = { type: 'upload', parameters: { storage: 'local', folder: small, prefix: 'x' } };
			await fails({ nodes: [none, toSmall] }, /small.* has \d+ bytes free/);
			const left = await readdir(small, { recursive: true, withFileTypes: true });
			assert.deepEqual(
				left.filter((entry) => entry.isFile()),
				[],
			);
		} finally {
			await exec('umount', [small]);
			await rm(small, { recursive: true });
		}
	});

	/** Ends the connection that copies `orders` as soon as there is one. */
	async function killCopy(statement: string): Promise<void> {
		for (let i = 0; i < 2000; i++) {
			const [row] = await sql(
				shop.server,
				'postgres',
				`SELECT count(pg_terminate_backend(pid))::int FROM pg_stat_activity
					WHERE pid <> pg_backend_pid() AND state = 'active' AND query LIKE '${statement}'`,
			);
			if (row![0] !== 0) return;
		}
		throw new Error('there was nothing to kill');
	}

	test('a database connection that is killed during the dump', async () => {
		await sql(
			shop.server,
			'shop',
			`INSERT INTO orders (customer, total, state) SELECT 1, n, 'new' FROM generate_series(1, 600000) n`,
		);
		const killed = killCopy('COPY%orders%');
		await fails({ nodes: [dump, upload('killed')] }, /connection/i);
		await killed;
		assert.deepEqual(await readdir(join(shop.destination, 'killed')).catch(() => []), []);
	});

	test('a database connection that is killed during the restore leaves the target as it was', async () => {
		(await run({ nodes: [dump, upload('whole')] })).assertSuccess();
		await sql(shop.server, 'target', 'CREATE TABLE precious AS SELECT 42 AS answer');
		const before = await describeDatabase(shop.server, 'target');
		const killed = killCopy('COPY%orders%');
		const clean = { ...restore, parameters: { ...restore.parameters, ifNotEmpty: 'clean' } };
		await fails({ nodes: [download('whole'), clean] }, /connection/i);
		await killed;
		assert.equal(await describeDatabase(shop.server, 'target'), before);
		await sql(shop.server, 'target', 'DROP TABLE precious');
	});

	test('a cancelled execution ends quietly, in every node that moves bytes', async () => {
		const nodes: WorkflowRun['nodes'] = [
			dump,
			{ type: 'encrypt' },
			{ type: 'verifyChecksum' },
			upload('cancelled'),
		];
		for (const name of ['dumpDatabase', 'encrypt', 'verifyChecksum', 'upload']) {
			const stop = new AbortController();
			const result = await run({
				nodes,
				signal: stop.signal,
				onNodeStart: (started) => {
					if (started === name) setTimeout(() => stop.abort(), 150);
				},
			});
			// A node may have been done before the signal came; then the whole run succeeded, which is no error either.
			assert.equal(result.error?.message.includes('failed unexpectedly') ?? false, false, name);
			if (name === 'dumpDatabase') assert.equal(result.status, 'canceled');
			assert.deepEqual(await stagedInTheEnd(shop.folder), [], name);
			const left = await readdir(join(shop.destination, 'cancelled')).catch(() => []);
			assert.equal(left.length % 3, 0, `${name} left ${left.join(', ')}`);
			await rm(join(shop.destination, 'cancelled'), { recursive: true, force: true });
		}
		const [row] = await sql(
			shop.server,
			'postgres',
			`SELECT count(*)::int FROM pg_stat_activity WHERE datname = 'shop'`,
		);
		assert.equal(row![0], 0, 'a backend runs on');
	});

	test('a path that the file rules forbid names the setting', async () => {
		await fails(
			{ nodes: [{ type: 'archiveFiles', parameters: { name: 'etc', paths: ['/etc'] } }] },
			/not allow access to \/etc/,
			/N8N_RESTRICT_FILE_ACCESS_TO/,
		);
		await fails(
			{ nodes: [dump, { type: 'upload', parameters: { storage: 'local', folder: '/etc/backups' } }] },
			/not allow access/,
			/N8N_RESTRICT_FILE_ACCESS_TO/,
		);
		await fails(
			{ nodes: [dump, { type: 'restore', parameters: { operation: 'files', targetFolder: '/etc/x' } }] },
			/not allow access/,
			/N8N_RESTRICT_FILE_ACCESS_TO/,
		);
	});

	test('a folder that n8n blocks wherever it lies says how to leave it out', async () => {
		const repository = join(shop.folder, 'repository');
		await mkdir(join(repository, '.git'), { recursive: true });
		await writeFile(join(repository, '.git/config'), '');
		await writeFile(join(repository, 'code'), '');
		const archive = (exclude: string[]) => ({
			type: 'archiveFiles',
			parameters: { name: 'code', paths: [repository], options: { exclude } },
		});
		await fails(
			{ nodes: [archive([])] },
			/not allow access to .*\.git/,
			/N8N_BLOCK_FILE_PATTERNS.*\*\*\/\.git/,
		);
		(await run({ nodes: [archive(['**/.git'])] })).assertSuccess();
	});

	test('a wrong password, an unknown database, a server that is not there', async () => {
		const wrong = (change: object) => ({
			...shop.credentials,
			postgres: { ...shop.credentials.postgres!, ...change },
		});
		await fails({ nodes: [dump], credentials: wrong({ password: 'nope' }) }, /password|log ?in/i);
		await fails({ nodes: [dump], credentials: wrong({ database: 'nowhere' }) }, /nowhere/);
		await fails({ nodes: [dump], credentials: wrong({ port: 1 }) }, /127\.0\.0\.1/);
	});

	test('a locked table', async () => {
		const locked = sql(shop.server, 'shop', 'BEGIN; LOCK TABLE orders; SELECT pg_sleep(4); COMMIT');
		await new Promise((resolve) => setTimeout(resolve, 300));
		const parameters = { ...dump.parameters, options: { lockTimeout: 1 } };
		await fails({ nodes: [{ ...dump, parameters }] }, /orders/);
		await locked;
	});

	test('a table that may not be read', async () => {
		await sql(
			shop.server,
			'shop',
			`CREATE ROLE reader LOGIN PASSWORD 'reader'`,
			'GRANT SELECT ON customers TO reader',
		);
		const reader = {
			...shop.credentials,
			postgres: { ...shop.credentials.postgres!, user: 'reader', password: 'reader' },
		};
		await fails({ nodes: [dump], credentials: reader }, /reader may not read public\.orders/);
	});

	test('a target that is not empty', async () => {
		(await run({ nodes: [dump, upload('not-empty')] })).assertSuccess();
		await sql(shop.server, 'target', 'CREATE TABLE precious AS SELECT 42 AS answer');
		await fails({ nodes: [download('not-empty'), restore] }, /target.*not empty/);
		const clean = { ...restore, parameters: { ...restore.parameters, ifNotEmpty: 'clean' } };
		(await run({ nodes: [download('not-empty'), clean] })).assertSuccess();
		assert.equal(await describeDatabase(shop.server, 'target'), await describeDatabase(shop.server, 'shop'));
	});

	test('files that exist already', async () => {
		await createFiles(join(shop.folder, 'files'));
		const archive = {
			type: 'archiveFiles',
			parameters: { name: 'files', paths: [join(shop.folder, 'files')] },
		};
		const toFiles = {
			type: 'restore',
			parameters: { operation: 'files', targetFolder: join(shop.folder, 'files') },
		};
		await fails({ nodes: [archive, toFiles] }, /files/);
	});

	test('links that lead out of the target', async () => {
		const [source, target] = [join(shop.folder, 'linked'), join(shop.folder, 'linked-again')];
		await mkdir(source);
		await writeFile(join(source, 'file'), 'content');
		await symlink('/etc/passwd', join(source, 'out'));
		const archive = { type: 'archiveFiles', parameters: { name: 'linked', paths: [source] } };
		const toFiles = (outsideLinks: string) => ({
			type: 'restore',
			parameters: { operation: 'files', targetFolder: target, outsideLinks },
		});
		await fails({ nodes: [archive, toFiles('refuse')] }, /out/);
		assert.deepEqual(await readdir(target).catch(() => []), []);
		const skipped = await run({ nodes: [archive, toFiles('skip')] });
		assert.match(skipped.assertSuccess().node('restore').hints[0]!.message, /out/);
		assert.deepEqual(await readdir(target), ['file']);
		await rm(target, { recursive: true });
		(await run({ nodes: [archive, toFiles('keep')] })).assertSuccess();
		assert.equal(await readlink(join(target, 'out')), '/etc/passwd');
	});

	test('items without a backup, nothing to archive, empty fields', async () => {
		await fails({ nodes: [{ type: 'encrypt' }] }, /holds no backup/);
		await fails({ nodes: [{ type: 'archiveFiles', parameters: { name: 'x', paths: [] } }] }, /Paths/);
		await fails(
			{
				nodes: [
					{ type: 'archiveFiles', parameters: { name: 'x', paths: [join(shop.folder, 'no-such-folder')] } },
				],
			},
			/no-such-folder/,
		);
		await fails(
			{ nodes: [{ type: 'archiveFiles', parameters: { name: 'x', operation: 'bundle' } }] },
			/bundle/,
		);
		await fails({ nodes: [download('no-such-prefix')] }, /no backup/i);
		await fails(
			{
				nodes: [
					{
						type: 'applyRetention',
						parameters: { storage: 'local', folder: shop.destination, policy: 'custom' },
					},
				],
			},
			/no rule/,
		);
	});

	test('no credential, or an operation that this version does not have', async () => {
		const none = { ...shop.credentials };
		delete none.postgres;
		await fails({ nodes: [dump], credentials: none }, /No credential is chosen for PostgreSQL/);
		const { postgres } = shop.credentials;
		const nodes = [dump, { type: 'encrypt' }];
		await fails({ nodes, credentials: { postgres: postgres! } }, /No credential is chosen to encrypt with/);
		const places = { storage: 'local', folder: shop.destination };
		await fails(
			{ nodes: [{ type: 'upload', parameters: { operation: 'list', storage: 's3', bucket: 'b' } }] },
			/No credential is chosen for S3/,
		);
		for (const type of [
			...['applyRetention', 'archiveFiles', 'dumpDatabase', 'encrypt'],
			...['restore', 'upload', 'verifyChecksum'],
		]) {
			const parameters = { operation: 'newer', name: 'x', ...places };
			await fails({ nodes: [{ type, parameters }] }, /does not know the operation "newer"/, /update/);
		}
	});

	test('Continue (using error output) sends the error there, with what to do about it', async () => {
		const result = await run({ nodes: [{ type: 'encrypt', onError: 'continueErrorOutput' }] });
		const [passed, failed] = result.node('encrypt').outputs;
		assert.deepEqual(passed, []);
		assert.match(failed![0]!.json.details as string, /Connect this node behind/);
	});

	test('Continue On Fail turns an error into an item', async () => {
		const result = await run({ nodes: [{ type: 'encrypt', onError: 'continueRegularOutput' }] });
		assert.equal(result.status, 'success');
		const [item] = result.json('encrypt');
		assert.match(item!.error as string, /holds no backup/);
		assert.match(item!.details as string, /Connect this node behind/);
	});
});
