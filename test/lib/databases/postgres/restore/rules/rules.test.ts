import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { RestoreRules, type RuleOptions } from '../../../../../../lib/databases/postgres/restore/rules/rules';
import { withoutVersionEntry } from '../../../../../../lib/databases/postgres/restore/rules/version-entry';
import { SqlLexer } from '../../../../../../lib/databases/postgres/restore/sql/lexer';
import { describeStatement, excerpt } from '../../../../../../lib/databases/postgres/restore/sql/statement';

/** What reaches the server of a script, and what is warned of. */
async function through(
	script: string,
	options: RuleOptions = {},
): Promise<{ sent: string[]; warnings: string[] }> {
	const rules = new RestoreRules(options, 'target', new Set(['statement_timeout', 'row_security']));
	const lexer = new SqlLexer(
		(async function* () {
			yield Buffer.from(script);
		})(),
	);
	const sent: string[] = [];
	const warnings: string[] = [];
	for (let item; (item = await lexer.next());) {
		if (item.kind === 'meta-command') {
			const { warning } = rules.metaCommand(item);
			if (warning) warnings.push(warning);
			continue;
		}
		const decision = rules.decide(item);
		if (decision.action !== 'skip') sent.push(decision.sql.toString());
		else if (decision.warning) warnings.push(decision.warning);
	}
	return { sent, warnings };
}

describe('the internal entry pg_attver', () => {
	const left = (sql: string) => withoutVersionEntry(Buffer.from(sql))?.toString();

	test('is taken out, and nothing else', () => {
		assert.equal(left('ALTER TABLE ONLY public.t ALTER COLUMN c SET (pg_attver=3)'), undefined);
		assert.equal(
			left('ALTER FOREIGN TABLE ONLY "S;x"."T ""y" ALTER COLUMN "é" SET (pg_attver=12)'),
			undefined,
		);
		assert.equal(
			left('ALTER TABLE ONLY public.t ALTER COLUMN c SET (n_distinct=-0.5, pg_attver=3)'),
			'ALTER TABLE ONLY public.t ALTER COLUMN c SET (n_distinct=-0.5)',
		);
	});

	test('stays where it is something else', () => {
		for (const sql of [
			'ALTER TABLE ONLY public.t ALTER COLUMN pg_attver SET (n_distinct=3)',
			'ALTER TABLE ONLY public.t ALTER COLUMN c SET (pg_attver=x)',
			"ALTER TABLE public.t ALTER COLUMN c SET DEFAULT 'SET (pg_attver=3)'",
			'ALTER TABLE ONLY public.t ALTER COLUMN c SET (pg_attver=3), DROP COLUMN d',
		]) {
			assert.equal(left(sql), sql);
		}
	});
});

test('settings that this server does not know are left out with a warning, if they are harmless', async () => {
	const { sent, warnings } = await through(
		'SET statement_timeout = 0;\nSET transaction_timeout = 0;\nSET default_with_oids = false;\nSET made_up = 1;',
	);
	assert.deepEqual(sent, ['SET statement_timeout = 0', 'SET made_up = 1']);
	assert.equal(warnings.length, 2);
	assert.match(warnings[0]!, /SET transaction_timeout on line 2/);
});

test('BEGIN and COMMIT are passed over, VACUUM is with a warning, savepoints are kept', async () => {
	const { sent, warnings } = await through(
		'BEGIN;SAVEPOINT a;ROLLBACK TO a;RELEASE a;COMMIT;START TRANSACTION;END;VACUUM ANALYZE t;ANALYZE t;',
	);
	assert.deepEqual(sent, ['SAVEPOINT a', 'ROLLBACK TO a', 'RELEASE a', 'ANALYZE t']);
	assert.match(warnings.join(), /VACUUM on line 1/);
});

test('owners are left out on demand, in statements that do nothing else', async () => {
	const owners = [
		'ALTER TABLE public.t OWNER TO joe',
		'ALTER FUNCTION public.f(a integer, b numeric(1, 2)) OWNER TO "Joe; x"',
		'ALTER AGGREGATE public.a(integer ORDER BY integer) OWNER TO joe',
		'ALTER SCHEMA "a, b" OWNER TO joe',
		"SET SESSION AUTHORIZATION 'joe'",
	];
	const others = [
		'ALTER TABLE t ADD COLUMN x integer, OWNER TO joe',
		"ALTER TABLE t ALTER x SET DEFAULT 'OWNER TO joe'",
		'GRANT a TO joe',
	];
	const script = [...owners, ...others].map((sql) => `${sql};`).join('\n');
	assert.deepEqual((await through(script, { noOwner: true })).sent, others);
	assert.deepEqual((await through(script)).sent, [...owners, ...others]);
});

test('privileges are left out on demand', async () => {
	const script =
		'GRANT SELECT ON t TO joe;REVOKE ALL ON t FROM joe;ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO joe;ALTER TABLE t OWNER TO joe;';
	assert.deepEqual((await through(script, { noPrivileges: true })).sent, ['ALTER TABLE t OWNER TO joe']);
});

describe('a script for a database of its own', () => {
	const script = [
		'DROP DATABASE IF EXISTS "My Shop";',
		'CREATE DATABASE "My Shop" WITH TEMPLATE = template0;',
		'ALTER DATABASE "My Shop" OWNER TO joe;',
		String.raw`\connect -reuse-previous=on "dbname='My Shop'"`,
		'ALTER DATABASE "My Shop" SET work_mem TO \'1MB\';',
		'COMMENT ON DATABASE "My Shop" IS \'ours\';',
		'GRANT ALL ON DATABASE "My Shop" TO joe;',
		'CREATE TABLE t (x int);',
	].join('\n');

	test('goes into the target on demand, its settings too', async () => {
		const { sent, warnings } = await through(script, { metaCommands: 'skip-connect' });
		assert.deepEqual(sent, [
			'ALTER DATABASE "target" OWNER TO joe',
			'ALTER DATABASE "target" SET work_mem TO \'1MB\'',
			'COMMENT ON DATABASE "target" IS \'ours\'',
			'GRANT ALL ON DATABASE "target" TO joe',
			'CREATE TABLE t (x int)',
		]);
		assert.equal(warnings.length, 3);
	});

	test('sets what it says for roles there, and for no other database', async () => {
		const inDatabase = [
			'ALTER ROLE clerk IN DATABASE "My Shop" SET work_mem TO \'2MB\';',
			'ALTER ROLE database IN DATABASE "My Shop" SET work_mem TO \'2MB\';',
		];
		const { sent } = await through(`\\connect "My Shop"\n${inDatabase.join('\n')}`, {
			metaCommands: 'skip-connect',
			roles: { clerk: 'app' },
		});
		assert.deepEqual(sent, [
			'ALTER ROLE "app" IN DATABASE "target" SET work_mem TO \'2MB\'',
			'ALTER ROLE database IN DATABASE "target" SET work_mem TO \'2MB\'',
		]);
		for (const sql of [
			'ALTER ROLE clerk IN DATABASE live SET work_mem TO 1;',
			'ALTER DATABASE live SET work_mem TO 1;',
			'COMMENT ON DATABASE live IS NULL;',
		]) {
			await assert.rejects(through(sql), { code: 'STATEMENT_REFUSED', message: /the database live/ });
			const other = `\\connect shop\n${sql}`;
			await assert.rejects(through(other, { metaCommands: 'skip-connect' }), { code: 'STATEMENT_REFUSED' });
		}
	});

	test('is refused otherwise', async () => {
		await assert.rejects(through(script), { code: 'STATEMENT_REFUSED', message: /line 1/ });
		await assert.rejects(through('SELECT 1;\n\\connect other'), {
			code: 'META_COMMAND_REFUSED',
			message: /line 2/,
		});
	});

	test('the encoding that pg_dump sets before it connects is passed over, and no other', async () => {
		const before = '\\encoding SQL_ASCII\n\\connect -reuse-previous=on "dbname=\'target\'"\nSELECT 1;';
		assert.deepEqual((await through(before)).sent, ['SELECT 1']);
		for (const alone of ['\\encoding SQL_ASCII\nSELECT 1;', '\\encoding LATIN1\n\\connect target\n'])
			await assert.rejects(through(alone), { code: 'META_COMMAND_REFUSED', message: /encoding on line 1/ });
	});

	test('connecting to the target itself is nothing to refuse', async () => {
		for (const command of [
			'\\c target',
			'\\connect "target"',
			'\\c -',
			String.raw`\connect postgres://h/target?x=y`,
			'\\c target;',
		]) {
			assert.deepEqual((await through(`${command}\nSELECT 1;`)).sent, ['SELECT 1']);
		}
	});
});

test('statements are named by what they do and to what', () => {
	for (const [sql, kind, object] of [
		['CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "My i" ON t (x)', 'CREATE INDEX', 'My i'],
		['CREATE OR REPLACE FUNCTION a.b() RETURNS int', 'CREATE FUNCTION', 'a.b'],
		['CREATE OPERATOR CLASS public.c FOR TYPE x', 'CREATE OPERATOR CLASS', 'public.c'],
		['ALTER TABLE IF EXISTS ONLY public.orders ADD x int', 'ALTER TABLE', 'public.orders'],
		['COMMENT ON COLUMN public.t.c IS NULL', 'COMMENT COLUMN', 'public.t.c'],
		['GRANT SELECT (a, b) ON TABLE public.t TO joe', 'GRANT TABLE', 'public.t'],
		['COPY public.t (a, b) FROM stdin', 'COPY', 'public.t'],
		['insert into T values (1)', 'INSERT INTO', 't'],
		['SELECT 1', 'SELECT', undefined],
	] as const) {
		assert.deepEqual(describeStatement(Buffer.from(sql)), { kind, object });
	}
	assert.equal(
		excerpt(Buffer.from("CREATE USER x PASSWORD 'it''s; secret'\nVALID")),
		"CREATE USER x PASSWORD '…' …",
	);
});
