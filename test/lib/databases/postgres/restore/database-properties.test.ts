import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import type { PostgresRestoreOptions } from '../../../../../lib/databases/postgres/restore/options';
import { restorePostgres } from '../../../../../lib/databases/postgres/restore/restore';
import { startPostgres, type PostgresMajor, type PostgresServer } from '../../../../servers/postgres';
import { dumpToFile } from '../helpers';

import { createDatabase, pgDump, psql, psqlFile, restore } from './server-tools';

/** Line breaks, quotes and backslashes, and longer than what a lexer reads of a comment. */
const comment = `the "shop"'s\nown; \\ café\r\nALTER DATABASE postgres CONNECTION LIMIT 1; -- ${'é\\'.repeat(9000)}`;
const properties = (name: string) =>
	`SELECT pg_get_userbyid(datdba), datconnlimit, datistemplate, datacl, md5(shobj_description(d.oid, 'pg_database')),
	(SELECT string_agg(setrole::regrole || ':' || setconfig::text, ';' ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = d.oid)
	FROM pg_database d WHERE datname = '${name}'`;

for (const version of [15, 18] satisfies PostgresMajor[]) {
	describe(`what belongs to a database as a whole, PostgreSQL ${version}`, () => {
		let server: PostgresServer;
		let folder: string;
		let expected: string;
		const dumps = new Map<string, string>();
		const load = async (file: string, database: string, options: PostgresRestoreOptions) =>
			restorePostgres(server.connection(database), async () => createReadStream(file), options);
		const drop = async (name: string) =>
			psql(server, 'postgres', `ALTER DATABASE "${name}" IS_TEMPLATE false`, `DROP DATABASE "${name}"`);
		const of = async (name: string) => psql(server, 'postgres', properties(name));

		before(async () => {
			server = await startPostgres({ version });
			folder = await mkdtemp(join(tmpdir(), 'lifeboat-test-'));
			await psql(server, 'postgres', 'CREATE ROLE keeper', 'CREATE ROLE "Clerk; x"', 'CREATE ROLE app');
			await createDatabase(server, 'My "shop"'.replaceAll('"', '""'), 'OWNER keeper CONNECTION LIMIT 30');
			const name = '"My ""shop"""';
			await psql(
				server,
				'My "shop"',
				'CREATE TABLE orders AS SELECT 1 AS id',
				`ALTER DATABASE ${name} SET search_path TO '', "My s", public`,
				`ALTER DATABASE ${name} SET custom.secret TO E'hush,\\n hush'`,
				`ALTER DATABASE ${name} SET default_transaction_read_only TO on`,
				`ALTER ROLE "Clerk; x" IN DATABASE ${name} SET statement_timeout TO '5s'`,
				`COMMENT ON DATABASE ${name} IS E'${comment.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n').replaceAll('\r', '\\r')}'`,
				`REVOKE ALL ON DATABASE ${name} FROM PUBLIC`,
				`GRANT CONNECT ON DATABASE ${name} TO "Clerk; x" WITH GRANT OPTION`,
				`GRANT TEMPORARY ON DATABASE ${name} TO PUBLIC`,
				`ALTER DATABASE ${name} IS_TEMPLATE true`,
			);
			for (const format of ['plain', 'custom'] as const) {
				dumps.set(format, join(folder, format));
				await dumpToFile(server.connection('My "shop"'), join(folder, format), { format });
			}
			expected = await of('My "shop"');
			assert.match(expected, /keeper\|30\|t\|.*hush/s);
			await psql(server, 'postgres', `ALTER DATABASE ${name} SET default_transaction_read_only TO off`);
		});
		after(async () => {
			await server.stop();
			await rm(folder, { recursive: true, force: true });
		});

		for (const format of ['plain', 'custom']) {
			test(`comes to a new database from our ${format} dump, and to others on demand`, async () => {
				const file = dumps.get(format)!;
				const { warnings } = await load(file, 'copy', { target: { kind: 'new' } });
				assert.deepEqual(warnings, []);
				assert.equal(await of('copy'), expected);
				await drop('copy');

				await createDatabase(server, 'there', 'CONNECTION LIMIT 7');
				await psql(server, 'there', "COMMENT ON DATABASE there IS 'mine'");
				const before = await of('there');
				const target = { kind: 'swap', old: 'drop' } as const;
				await load(file, 'there', { target });
				assert.equal(await of('there'), before);
				await load(file, 'there', { ifNotEmpty: 'clean' });
				assert.equal(await of('there'), before);
				await load(file, 'there', { target, databaseProperties: 'backup' });
				assert.equal(await of('there'), expected);
				await drop('there');
				await createDatabase(server, 'there');
				await load(file, 'there', { databaseProperties: 'backup', noOwner: true, noPrivileges: true });
				const [owner, , , acl] = (await of('there')).split('|');
				assert.deepEqual([owner, acl], [await psql(server, 'postgres', 'SELECT current_user'), '']);
				await drop('there');
			});
		}

		test('a server without the roles gets all else, and the item says what is missing', async () => {
			const file = dumps.get('plain')!;
			const name = '"My ""shop"""';
			await psql(
				server,
				'postgres',
				`ALTER DATABASE ${name} OWNER TO app`,
				'ALTER ROLE keeper RENAME TO gone',
			);
			const options = { target: { kind: 'new' }, roles: { 'Clerk; x': 'app' } } as const;
			const { warnings } = await load(file, 'copy', options);
			assert.equal(warnings.length, 1);
			assert.match(
				warnings[0]!,
				/not restored: ALTER DATABASE "copy" OWNER TO "keeper" \(role "keeper" does not exist\); REVOKE ALL ON DATABASE "copy" FROM "keeper"/,
			);
			assert.doesNotMatch(warnings.join(), /hush/);
			assert.match(await of('copy'), /\|30\|t\|.*app:\{statement_timeout=5s\}/s);
			await drop('copy');
			await psql(
				server,
				'postgres',
				'ALTER ROLE gone RENAME TO keeper',
				`ALTER DATABASE ${name} OWNER TO keeper`,
			);
		});

		test('psql passes over what a plain dump says of it, and a line of another origin is none', async () => {
			const script = await readFile(dumps.get('plain')!, 'utf8');
			await createDatabase(server, 'by_hand');
			const before = await of('by_hand');
			await psqlFile(server, 'by_hand', dumps.get('plain')!);
			assert.equal(await of('by_hand'), before);
			const statements = [...script.matchAll(/^-- Database property: (.*)$/gm)].map(([, sql]) => sql);
			const file = join(folder, 'statements.sql');
			await writeFile(file, statements.join('\n').replaceAll('"My ""shop"""', 'by_hand'));
			await psqlFile(server, 'postgres', file);
			assert.equal(await of('by_hand'), expected);
			await drop('by_hand');
			const stranger = script
				.replace(/(?<=^-- )Database property: .*\n/gm, '')
				.replace(/^CREATE TABLE/m, '-- Database property: ALTER DATABASE x CONNECTION LIMIT 3;\n$&');
			await restore(server, 'by_hand', stranger, { target: { kind: 'new' } });
			assert.match(await of('by_hand'), /\|-1\|f\|/);
			await drop('by_hand');
		});

		if (version === 15) {
			test('comes from an archive of pg_dump, and from its script on demand', async () => {
				const archive = await pgDump(server, 'My "shop"', '-Fc');
				const now = await of('My "shop"');
				for (const parallelConnections of [1, 2]) {
					const target = { kind: 'new' } as const;
					const { warnings } = await restore(server, 'copy', archive, { target, parallelConnections });
					assert.deepEqual(warnings, []);
					assert.equal(await of('copy'), now);
					await drop('copy');
				}
				const script = await pgDump(server, 'My "shop"', '--create');
				const options = { target: { kind: 'new' }, metaCommands: 'skip-connect' } as const;
				await restore(server, 'copy', script, options);
				assert.equal(await of('copy'), now);
				await drop('copy');
			});
		}
	});
}
