import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chown, mkdir, stat } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { prepareGlobalsDump } from '../../../../../lib/databases/postgres';
import { restoreGlobals } from '../../../../../lib/databases/postgres/restore/globals';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';
import { withFolder } from '../helpers';

import { psql } from './server-tools';

const run = promisify(execFile);

/** What Debian's pg_dumpall says of a server. */
async function globalsOf(server: PostgresServer): Promise<string> {
	const { stdout } = await run('pg_dumpall', ['--globals-only'], { env: server.env() });
	return stdout.replace(/^\\(?:un)?restrict .*$/gm, '');
}

const restoreInto = async (server: PostgresServer, text: string) =>
	restoreGlobals(server.connection(), async () => Readable.from([Buffer.from(text)]));

describe('roles and tablespaces of a server', () => {
	let from: PostgresServer;

	before(async () => {
		from = await startPostgres({ version: 15 });
		await psql(
			from,
			'postgres',
			`CREATE ROLE "Büro; ""x""" LOGIN PASSWORD 'geheim' CONNECTION LIMIT 7; CREATE ROLE lead; CREATE ROLE clerk LOGIN PASSWORD 'of the dump'`,
			`COMMENT ON ROLE lead IS 'it''s first'; GRANT lead TO "Büro; ""x""" WITH ADMIN OPTION; GRANT pg_monitor TO lead`,
			`ALTER ROLE lead SET work_mem = '12MB'; GRANT SET ON PARAMETER log_min_messages TO lead`,
		);
	});
	after(() => from.stop());

	for (const origin of ['Dump Database', 'pg_dumpall'] as const) {
		test(`of ${origin}: what is missing comes, what is there stays`, async () => {
			const to = await startPostgres({ version: 15 });
			try {
				await withFolder(async (outside) => {
					const folder = join(to.folder, 'space');
					await mkdir(folder);
					const { uid, gid } = await stat(to.folder);
					await chown(folder, uid, gid);
					const dump = async () =>
						origin === 'pg_dumpall'
							? globalsOf(from)
							: (
									await buffer((await (await prepareGlobalsDump(from.connection())).start()).stream)
								).toString();
					const text = await dump();
					await psql(to, 'postgres', "CREATE ROLE clerk LOGIN PASSWORD 'of the target' CONNECTION LIMIT 3");
					const clerk = () =>
						psql(to, 'postgres', "SELECT rolpassword, rolconnlimit FROM pg_authid WHERE rolname = 'clerk'");
					const before = await clerk();
					const report = await restoreInto(to, text);
					assert.deepEqual(report.roles.sort(), ['Büro; "x"', 'lead']);
					assert.deepEqual(report.keptRoles.sort(), ['clerk', 'postgres']);
					assert.equal(await clerk(), before);
					const without = (all: string) =>
						all
							.split('\n')
							.filter((line) => !/ROLE (?:clerk|postgres)/.test(line))
							.join('\n');
					assert.equal(without(await globalsOf(to)), without(await globalsOf(from)));
					assert.deepEqual((await restoreInto(to, text)).roles, []);

					const head = "SET client_encoding = 'UTF8';\nCREATE ROLE late;\n";
					const space = (path: string) =>
						`${head}CREATE TABLESPACE fast OWNER lead LOCATION '${path}';\nGRANT CREATE ON TABLESPACE fast TO clerk;\n`;
					await assert.rejects(restoreInto(to, space(join(outside, 'nowhere'))), {
						code: 'TABLESPACE_FAILED',
						message: /fast.*1 roles were restored/,
					});
					const second = await restoreInto(to, space(folder));
					assert.deepEqual([second.keptRoles, second.tablespaces], [['late'], ['fast']]);
					await psql(to, 'postgres', 'DROP TABLESPACE fast');
				});
			} finally {
				await to.stop();
			}
		});
	}

	test('anything else is refused, and what fails leaves no role', async () => {
		for (const statement of [
			'CREATE TABLE t (x int);',
			"DO $$BEGIN EXECUTE 'DROP ROLE clerk'; END$$;",
			'\\connect shop\n',
			'GRANT SELECT ON TABLE t TO lead;',
			'DROP ROLE lead;',
		]) {
			await assert.rejects(restoreInto(from, `CREATE ROLE fresh;\n${statement}`), {
				code: 'STATEMENT_REFUSED',
				message: /Line 2/,
			});
		}
		await assert.rejects(restoreInto(from, 'CREATE ROLE fresh;\nALTER ROLE nobody_here LOGIN;'), {
			code: 'ROLE_MISSING',
		});
		assert.equal(await psql(from, 'postgres', "SELECT count(*) FROM pg_roles WHERE rolname = 'fresh'"), '0');
	});
});
