import assert from 'node:assert/strict';
import { appendFile, chmod, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Client } from 'pg';

import { Cleanup } from '../../demo/cleanup';
import {
	differences,
	fingerprintDatabase,
	fingerprintFolder,
	type DatabaseFingerprint,
} from '../../demo/fingerprints';
import { loseDatabase, makeFolders, openShop, type Shop } from '../../demo/stage';

const cleanup = new Cleanup();
after(() => cleanup.run());

describe('the fingerprint of a database', () => {
	let shop: Shop;
	let original: DatabaseFingerprint;

	before(async () => {
		shop = await openShop(cleanup);
		original = await fingerprintDatabase(shop.connection);
	});

	test('covers the sample shop, and is the same twice', async () => {
		assert.ok(original.rows >= 200_000, String(original.rows));
		assert.deepEqual(differences(original.things, (await fingerprintDatabase(shop.connection)).things), []);
	});

	const withoutNote = `(SELECT 999 + min(n) FROM generate_series(1, 100) n WHERE pick('note' || n, 12) > 4)`;

	/** Each of these must show, and be undone by the second statement. */
	const changes: Array<[what: string, change: string, undo: string, shown: RegExp]> = [
		[
			'one character of one row',
			`UPDATE reviews SET body = body || '.' WHERE id = md5('review7')::uuid`,
			`UPDATE reviews SET body = left(body, -1) WHERE id = md5('review7')::uuid`,
			/^different: rows of public\.reviews/,
		],
		[
			'an empty text for NULL',
			`UPDATE orders SET note = '' WHERE id = ${withoutNote}`,
			`UPDATE orders SET note = NULL WHERE id = ${withoutNote}`,
			/^different: rows of public\.orders/,
		],
		[
			'where a sequence stands',
			`SELECT setval('invoice_numbers', 20262248)`,
			`SELECT setval('invoice_numbers', 20262241)`,
			/^different: sequence public\.invoice_numbers/,
		],
		[
			'a missing index',
			`DROP INDEX open_orders`,
			`CREATE INDEX open_orders ON orders (placed_at) WHERE status IN ('new', 'paid')`,
			/^missing: index public\.open_orders/,
		],
		[
			'a trigger',
			`DROP TRIGGER keep_history ON orders`,
			`CREATE TRIGGER keep_history BEFORE UPDATE OF status ON orders FOR EACH ROW EXECUTE FUNCTION keep_history()`,
			/^missing: trigger public\.orders keep_history/,
		],
		[
			'a default',
			`ALTER TABLE products ALTER "On Sale" SET DEFAULT true`,
			`ALTER TABLE products ALTER "On Sale" SET DEFAULT false`,
			/^different: column public\.products\."On Sale"/,
		],
		['a new table', `CREATE TABLE more ()`, `DROP TABLE more`, /^added: rows of public\.more/],
	];
	for (const [what, change, undo, shown] of changes) {
		test(`shows ${what}`, async () => {
			const client = new Client(shop.connection);
			await client.connect();
			try {
				await client.query(change);
				const changed = await fingerprintDatabase(shop.connection);
				const found = differences(original.things, changed.things);
				assert.ok(
					found.some((text) => shown.test(text)),
					found.join('\n'),
				);
				await client.query(undo);
			} finally {
				await client.end();
			}
			assert.deepEqual(differences(original.things, (await fingerprintDatabase(shop.connection)).things), []);
		});
	}

	test('misses everything after the disaster', async () => {
		await loseDatabase(shop);
		const lost = await fingerprintDatabase(shop.connection);
		assert.equal(lost.things.size, 0);
		assert.equal(differences(original.things, lost.things).length, original.things.size);
	});
});

test('the fingerprint of a folder shows contents, names, modes and links', async () => {
	const { uploads } = await makeFolders(cleanup);
	const original = await fingerprintFolder(uploads);
	assert.ok(original.files > 450 && original.bytes > 5_000_000);
	assert.deepEqual(differences(original.things, (await fingerprintFolder(uploads)).things), []);
	await appendFile(join(uploads, 'leer.txt'), 'x');
	await chmod(join(uploads, 'scripts/import.sh'), 0o644);
	await rename(join(uploads, '🏮.bin'), join(uploads, '🏮2.bin'));
	await rm(join(uploads, 'this-year'));
	await symlink('invoices/2025', join(uploads, 'this-year'));
	await rm(join(uploads, 'incoming'), { recursive: true });
	const found = differences(original.things, (await fingerprintFolder(uploads)).things);
	assert.deepEqual(found.map((text) => text.replace(/: (was|file|link).*/, '')).sort(), [
		...['added: 🏮2.bin', 'different: leer.txt', 'different: scripts/import.sh', 'different: this-year'],
		...['missing: incoming', 'missing: 🏮.bin'],
	]);
});
