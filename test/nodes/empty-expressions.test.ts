import assert from 'node:assert/strict';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { localStorage } from '../../lib/storage/local/local-storage';
import { putBackup } from '../lib/retention/stored-backups';

import { runWorkflow } from './engine';
import { createFiles, temporaryFolder } from './fixtures';

const missing = '={{ $json.misspelt }}';
const empty = '={{ $json.misspelt ?? "" }}';

describe('an expression that comes out empty does not pass for an empty field', () => {
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;
	let destination: string;

	before(async () => {
		folder = await temporaryFolder();
		destination = join(folder.path, 'destination');
		await mkdir(destination);
		await createFiles(join(folder.path, 'files'));
		const storage = localStorage({ folder: destination });
		for (const days of [0, 1, 2, 3]) {
			const createdAt = new Date(Date.now() - days * 86_400_000 - 60_000).toISOString();
			await putBackup(storage, `shop-${days}.tar`, createdAt, { tags: ['release'] });
		}
	});

	after(async () => {
		await folder?.remove();
	});

	const run = async (type: string, parameters: object) =>
		await runWorkflow({
			allowedFolders: [folder.path],
			credentials: { postgres: { host: '127.0.0.1', port: 1, database: 'production', user: 'n8n' } },
			nodes: [{ type, parameters: { ...parameters } }],
		});

	const refused = async (type: string, parameters: object, title: string) => {
		const { error } = await run(type, parameters);
		assert.equal(error?.message, `The expression under ${title} came out empty`);
		assert.match(error.description ?? '', /^Nothing was done/);
	};

	test('so the whole backup is not restored instead of a table, nor over another database', async () => {
		const restore = (more: object) => ({ target: 'existing', ifNotEmpty: 'clean', ...more });
		for (const tables of [[missing], [empty], missing, '={{ [] }}', ['public.orders', empty]])
			await refused('restore', restore({ options: { tables } }), 'Only Tables');
		await refused('restore', restore({ options: { schemas: [missing] } }), 'Only Schemas');
		await refused('restore', restore({ options: { intoSchema: empty } }), 'Into Schema');
		const name = { __rl: true, mode: 'name', value: missing };
		await refused('restore', restore({ targetDatabase: name }), 'Target Database');
		const role = [{ from: 'shop', to: missing }];
		await refused('restore', restore({ options: { roles: { role } } }), 'Replace Roles');
	});

	test('so no other database is dumped, and no file is left out', async () => {
		await refused('dumpDatabase', { database: { __rl: true, mode: 'name', value: empty } }, 'Database');
		const paths = [join(folder.path, 'files'), missing];
		await refused('archiveFiles', { name: 'files', paths }, 'Paths');
		const bundle = { operation: 'bundle', name: 'all' };
		(await run('archiveFiles', { ...bundle, paths: [join(folder.path, 'files'), ''] })).assertSuccess();
		await refused('archiveFiles', { ...bundle, paths: '={{ $json.paths }}' }, 'Paths');
	});

	test('so retention does not lose a rule, or its place', async () => {
		const retention = (rules: object, more: object = {}) => ({
			...{ storage: 'local', folder: destination, mode: 'delete', policy: 'custom', ...more },
			rules: { keepLast: 1, ...rules },
		});
		await refused('applyRetention', retention({ keepTags: [missing] }), 'Keep Tags');
		await refused('applyRetention', retention({ keepDaily: empty }), 'Rules');
		await refused('applyRetention', retention({ keepWithin: missing }), 'Rules');
		await refused('applyRetention', retention({}, { prefix: missing }), 'Prefix');
		const options = { expectedEvery: missing };
		await refused('applyRetention', retention({}, { options }), 'Expect a Backup Every');
		// What a text says where the list gives several counts, too.
		(await run('applyRetention', retention({ keepTags: '={{ "release" }}' }))).assertSuccess();
		assert.equal((await readdir(destination)).length, 12);
		(await run('applyRetention', retention({}, { prefix: empty }))).assertSuccess();
		assert.equal((await readdir(destination)).length, 3);
	});
});

test('a bundle refuses an item that stands for a backup which failed, or is still in an archive', async () => {
	const folder = await temporaryFolder();
	try {
		await createFiles(join(folder.path, 'files'));
		for (const [json, why] of [
			[{ error: 'The server hung up', details: 'Try again' }, /that of item 1: The server hung up$/],
			[{ key: 'shop.tar', restoring: true }, /still in an archive/],
		] as const) {
			const result = await runWorkflow({
				allowedFolders: [folder.path],
				input: [{ json: {} }, { json }],
				nodes: [
					{
						type: 'archiveFiles',
						parameters: { operation: 'bundle', name: 'all', paths: [join(folder.path, 'files')] },
					},
				],
			});
			assert.match(result.error?.message ?? '', why);
		}
	} finally {
		await folder.remove();
	}
});
