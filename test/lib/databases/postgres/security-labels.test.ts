import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { prepareGlobalsDump } from '../../../../lib/databases/postgres/globals/globals';
import { restoreGlobals } from '../../../../lib/databases/postgres/restore/globals';
import {
	restorePostgres,
	type PostgresRestoreOptions,
} from '../../../../lib/databases/postgres/restore/restore';
import { compileLabelProvider, labelProviders } from '../../../servers/label-provider';
import { startPostgres, type PostgresServer } from '../../../servers/postgres';

import { assertSameText, dumpToFile } from './helpers';
import { contentOf, createDatabase, pgDump, psql, restore } from './restore/server-tools';

const run = promisify(execFile);

/** Every kind of object within a database that takes a label. */
const objects = `
CREATE SCHEMA "Säfe"; CREATE TYPE mood AS ENUM ('low'); CREATE DOMAIN short AS text; CREATE TYPE pair AS (a integer);
CREATE TABLE "t'; x" (id integer PRIMARY KEY, "ö""c" text); INSERT INTO "t'; x" VALUES (1, 'a');
CREATE TABLE parted (id integer) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parted DEFAULT;
CREATE VIEW v AS SELECT 1 AS one; CREATE MATERIALIZED VIEW m AS SELECT 1 AS one; CREATE SEQUENCE s;
CREATE FUNCTION f(a integer, VARIADIC b text[]) RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE p(INOUT a integer) LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE total(integer) (SFUNC = int4pl, STYPE = integer); CREATE AGGREGATE amount(*) (SFUNC = int8inc, STYPE = bigint, INITCOND = '0');
CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER et ON ddl_command_start EXECUTE FUNCTION e();
CREATE FUNCTION h() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler'; CREATE LANGUAGE own HANDLER h; CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw; CREATE FOREIGN TABLE ft (a integer) SERVER far;
CREATE PUBLICATION pub FOR TABLE "t'; x"; SELECT lo_from_bytea(4711, 'abc');
CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false, slot_name = NONE);
`;
const labelled = [
	...['SCHEMA "Säfe"', 'TYPE mood', 'DOMAIN short', 'TYPE pair', `TABLE "t'; x"`, `COLUMN "t'; x"."ö""c"`],
	...['TABLE parted', 'COLUMN part.id', 'VIEW v', 'COLUMN v.one', 'MATERIALIZED VIEW m', 'COLUMN m.one'],
	...['SEQUENCE s', 'FUNCTION f(integer, text[])', 'PROCEDURE p(integer)', 'AGGREGATE total(integer)'],
	...['AGGREGATE amount(*)', 'EVENT TRIGGER et', 'FOREIGN TABLE ft', 'COLUMN ft.a', 'PUBLICATION pub'],
	...['LARGE OBJECT 4711', 'SUBSCRIPTION sub', 'SCHEMA public', 'LANGUAGE own'],
];

describe('security labels', () => {
	let server: PostgresServer;
	let folder: string;
	let expected: string;

	before(async () => {
		folder = await mkdtemp(join(tmpdir(), 'lifeboat-test-'));
		const settings = {
			shared_preload_libraries: await compileLabelProvider(folder),
			wal_level: 'logical',
			allow_in_place_tablespaces: 'on',
		};
		server = await startPostgres({ version: 15, settings });
		await createDatabase(server, 'source');
		await psql(server, 'source', objects);
		const label = (object: string, number: number) =>
			`SECURITY LABEL FOR "${labelProviders[number % 2]!.replaceAll('"', '""')}" ON ${object} IS 'läbel ''\\ ${number}'`;
		await psql(server, 'source', ...labelled.map(label));
		expected = await contentOf(server, 'source');
		assert.equal(expected.match(/^SECURITY LABEL FOR /gm)?.length, labelled.length);
	});
	after(async () => {
		await server.stop();
		await rm(folder, { recursive: true, force: true });
	});

	const cloneOf = async (name: string, load: (database: string) => Promise<unknown>) => {
		const database = await createDatabase(server, name);
		await load(database);
		assertSameText(expected, await contentOf(server, database));
	};
	const dumped = async (format: 'plain' | 'custom') => {
		const file = join(folder, `dump-${format}`);
		await dumpToFile(server.connection('source'), file, { format });
		return file;
	};
	const restored = async (name: string, file: string, options: PostgresRestoreOptions = {}) =>
		cloneOf(name, async (database) =>
			restorePostgres(server.connection(database), async () => createReadStream(file), options),
		);

	test('go out and come back in plain SQL', async () => {
		const file = await dumped('plain');
		await cloneOf('psql', async (database) =>
			run('psql', ['-Xqv', 'ON_ERROR_STOP=1', '-f', file], { env: server.env(database) }),
		);
		await restored('plain', file);
	});

	test('go out and come back in a custom archive', async () => {
		const file = await dumped('custom');
		await cloneOf('pg_restore', async (database) =>
			run('pg_restore', ['--exit-on-error', '-d', database, file], { env: server.env(database) }),
		);
		await restored('custom', file);
		await restored('parallel', file, { target: { kind: 'swap', old: 'drop' }, parallelConnections: 3 });
	});

	test('come back from the dumps of pg_dump', async () => {
		for (const format of ['p', 'c']) {
			await cloneOf(`stock_${format}`, async (database) =>
				restore(server, database, await pgDump(server, 'source', `-F${format}`)),
			);
		}
	});

	test('of large objects count as data', async () => {
		const file = await dumped('custom');
		await cloneOf('halves', async (database) => {
			const open = async () => createReadStream(file);
			await restorePostgres(server.connection(database), open, { content: 'schema' });
			await restorePostgres(server.connection(database), open, { content: 'data' });
		});
	});

	test('of a database stay with its name when its content is swapped', async () => {
		const database = await createDatabase(server, 'Swapped "one"'.replaceAll('"', ''));
		const name = `"${database}"`;
		await psql(
			server,
			'postgres',
			`CREATE ROLE keeper; ALTER DATABASE ${name} OWNER TO keeper`,
			`SECURITY LABEL FOR house ON DATABASE ${name} IS 'sécret'; COMMENT ON DATABASE ${name} IS 'it''s'`,
			`ALTER DATABASE ${name} SET search_path TO "a, b", public; ALTER ROLE keeper IN DATABASE ${name} SET work_mem TO '8MB'`,
			`REVOKE ALL ON DATABASE ${name} FROM PUBLIC, keeper; GRANT CONNECT ON DATABASE ${name} TO keeper`,
			`ALTER DATABASE ${name} IS_TEMPLATE true CONNECTION LIMIT 7`,
		);
		const properties = async (of = database) =>
			(await pgDump(server, of, '--create', '--schema-only')).toString().split('\\connect')[1];
		const before = await properties();
		assert.match(before!, /SECURITY LABEL FOR house ON DATABASE/);
		assert.match(before!, /IS_TEMPLATE = true/);
		await restore(server, database, 'CREATE TABLE t (x int); DROP TABLE t;', { target: { kind: 'swap' } });
		assert.equal(await properties().then(withoutKey), withoutKey(before));

		for (const format of ['plain', 'custom'] as const) {
			const [file, copy] = [join(folder, `whole.${format}`), `Copy of ${format}`];
			await dumpToFile(server.connection(database), file, { format });
			const open = async () => createReadStream(file);
			await restorePostgres(server.connection(copy), open, { target: { kind: 'new' } });
			const expected = withoutKey(before).replaceAll(database, copy);
			assert.equal(await properties(copy).then(withoutKey), expected);
		}
	});

	test('of roles and tablespaces are dumped with them', async () => {
		await psql(server, 'postgres', "CREATE TABLESPACE fast LOCATION ''");
		await psql(
			server,
			'postgres',
			'CREATE ROLE "Rölle"',
			`SECURITY LABEL FOR house ON ROLE "Rölle" IS 'of a role'`,
			`SECURITY LABEL FOR house ON TABLESPACE fast IS 'of a tablespace'`,
		);
		const dumpall = async () =>
			withoutKey((await run('pg_dumpall', ['--globals-only'], { env: server.env() })).stdout)
				// Its folder has the name of its number.
				.replace(/pg_tblspc\/\d+/, 'pg_tblspc');
		const before = await dumpall();
		assert.equal(before.match(/^SECURITY LABEL FOR /gm)?.length, 2);
		const dump = await prepareGlobalsDump(server.connection());
		const bytes = Buffer.concat((await (await dump.start()).stream.toArray()) as Buffer[]);
		await psql(server, 'postgres', 'DROP ROLE "Rölle"', 'DROP TABLESPACE fast');
		await restoreGlobals(server.connection(), async () => Readable.from([bytes]));
		assertSameText(before, await dumpall());
	});
});

function withoutKey(text: string | undefined): string {
	return (text ?? '').replace(/^\\(un)?restrict .*$/gm, '');
}
