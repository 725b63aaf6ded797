import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chown, mkdir, stat, writeFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { prepareGlobalsDump, type GlobalsOptions } from '../../../../../lib/databases/postgres';
import type { PostgresConnection } from '../../../../../lib/databases/postgres/connection';
import type { Manifest } from '../../../../../lib/artifact/manifest';
import { restoreCommands } from '../../../../../lib/artifact/restore-commands';
import { provePlainSql } from '../../../../../lib/verification/plain-sql';
import { startPostgres, type PostgresMajor, type PostgresServer } from '../../../../servers/postgres';
import { assertSameText, psql, withClient, withFolder } from '../helpers';

const run = promisify(execFile);

async function globals(connection: PostgresConnection, options: GlobalsOptions = {}): Promise<string> {
	const dump = await prepareGlobalsDump(connection, options);
	const production = await dump.start();
	const text = await buffer(production.stream);
	await production.finish();
	return text.toString();
}

/** What Debian's pg_dumpall (15) says of a server up to 15. */
async function judge(server: PostgresServer): Promise<string> {
	const { stdout } = await run('pg_dumpall', ['--globals-only'], { env: server.env() });
	return stdout.replace(/^\\(?:un)?restrict .*$/gm, '');
}

async function fill(server: PostgresServer, folder: string, version: PostgresMajor): Promise<void> {
	await mkdir(folder);
	const { uid, gid } = await stat(server.folder);
	await chown(folder, uid, gid);
	const statements = [
		`CREATE ROLE "Büro; ""x""" LOGIN PASSWORD 'geheim''"' VALID UNTIL '2031-02-03 04:05:06+00' CONNECTION LIMIT 7`,
		`COMMENT ON ROLE "Büro; ""x""" IS 'it''s; \\ a comment\non two lines'`,
		'CREATE ROLE root SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS NOINHERIT',
		`CREATE ROLE lead; CREATE ROLE clerk LOGIN PASSWORD 'clerk'; CREATE ROLE "select"`,
		'GRANT lead TO "Büro; ""x""" WITH ADMIN OPTION',
		'GRANT pg_read_all_settings, pg_monitor TO clerk',
		`ALTER ROLE clerk SET search_path TO "A, ""b""", public, 'c d'`,
		`ALTER ROLE clerk SET work_mem = '12MB'; ALTER ROLE clerk SET "my.odd" TO 'a''b\\c'; ALTER ROLE clerk SET DateStyle TO 'German, DMY'`,
		"ALTER ROLE clerk SET temp_tablespaces = ''",
		`CREATE TABLESPACE "schnell; "  OWNER clerk LOCATION '${folder}' WITH (random_page_cost = 1.5, seq_page_cost = 2)`,
		`COMMENT ON TABLESPACE "schnell; " IS 'fast'`,
		`GRANT CREATE ON TABLESPACE "schnell; " TO lead WITH GRANT OPTION`,
		`SET ROLE lead; GRANT CREATE ON TABLESPACE "schnell; " TO "select"; RESET ROLE`,
		'SET ROLE "Büro; ""x"""; GRANT lead TO "select"; RESET ROLE',
		"UPDATE pg_authid SET rolpassword = 'md5' || md5('oldold') WHERE rolname = 'select'",
		...(version >= 15
			? [`GRANT SET, ALTER SYSTEM ON PARAMETER log_min_messages TO clerk WITH GRANT OPTION`]
			: []),
		...(version >= 16 ? ['GRANT root TO clerk WITH ADMIN TRUE, INHERIT FALSE, SET FALSE'] : []),
	];
	for (const sql of statements) await psql(server, 'postgres', { sql });
}

for (const version of [13, 15, 16, 18] satisfies PostgresMajor[]) {
	test(`roles and tablespaces of PostgreSQL ${version} come back on a fresh server`, async () => {
		const [source, target] = await Promise.all([startPostgres({ version }), startPostgres({ version })]);
		try {
			await withFolder(async (folder) => {
				await fill(source, join(source.folder, 'space'), version);
				const text = await globals(source.connection());
				assert.match(text, /PASSWORD 'SCRAM-SHA-256/);
				const expected = version <= 15 ? await judge(source) : text;
				// Two servers of a version can't share the folder of a tablespace.
				await psql(source, 'postgres', { sql: 'DROP TABLESPACE "schnell; "' });
				const file = join(folder, 'globals.sql');
				await writeFile(file, text);
				for (const again of [false, true]) {
					await psql(target, 'postgres', { file });
					assertSameText(expected, version <= 15 ? await judge(target) : await globals(target.connection()));
					// Only tablespaces are in the way of a second time.
					if (!again) await psql(target, 'postgres', { sql: 'DROP TABLESPACE "schnell; "' });
				}
				const clerk = { ...target.connection(), user: 'clerk', password: 'clerk' };
				await withClient(clerk, async (client) => {
					const { rows } = await client.query("SELECT current_setting('search_path') AS path");
					assert.deepEqual(rows, [{ path: `"A, ""b""", public, "c d"` }]);
				});
				await withClient(
					{ ...target.connection(), user: 'Büro; "x"', password: `geheim'"` },
					async (client) => client.query('SELECT 1'),
				);
				assert.match(
					(await provePlainSql(Readable.from([Buffer.from(text)]), { fileName: 'g' } as Manifest))[0]!,
					/last line/,
				);
			});
		} finally {
			await Promise.all([source.stop(), target.stop()]);
		}
	});
}

describe('roles and tablespaces', () => {
	test('without passwords where they are not wanted or not permitted', async () => {
		const server = await startPostgres({ version: 17 });
		try {
			await psql(server, 'postgres', { sql: "CREATE ROLE clerk LOGIN PASSWORD 'clerk'" });
			const clerk = { ...server.connection(), user: 'clerk', password: 'clerk' };
			assert.equal((await prepareGlobalsDump(server.connection())).withPasswords, true);
			for (const [connection, options] of [
				[clerk, {}],
				[server.connection(), { passwords: 'none' }],
			] satisfies [PostgresConnection, GlobalsOptions][]) {
				const prepared = await prepareGlobalsDump(connection, options);
				assert.equal(prepared.withPasswords, false);
				assert.equal(prepared.source.globals, true);
				const text = await globals(connection, options);
				assert.match(text, /^-- Passwords of roles are not part of this dump$/m);
				assert.match(text, /^ALTER ROLE "clerk" WITH .* LOGIN /m);
				assert.doesNotMatch(text, /SCRAM|PASSWORD/);
			}
			await assert.rejects(prepareGlobalsDump(clerk, { passwords: 'required' }), {
				code: 'NOT_PERMITTED',
				message: /clerk may not read the passwords/,
			});
			const { source, format } = await prepareGlobalsDump(server.connection());
			const manifest = { source, format, kind: 'database', fileName: 'g.sql', transformations: [] };
			assert.equal(
				restoreCommands(manifest as unknown as Manifest)[1],
				'psql --no-psqlrc --set ON_ERROR_STOP=1 --dbname postgres < g.sql',
			);
		} finally {
			await server.stop();
		}
	});

	test('a dump that is not read to its end is not whole', async () => {
		const server = await startPostgres({ version: 17 });
		try {
			const production = await (await prepareGlobalsDump(server.connection())).start();
			production.stream.destroy();
			await assert.rejects(production.finish(), { code: 'INCOMPLETE' });
		} finally {
			await server.stop();
		}
	});
});
