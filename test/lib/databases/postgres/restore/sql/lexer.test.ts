import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import fc from 'fast-check';

import { LifeboatError } from '../../../../../../lib/errors';
import { SqlLexer, type SqlLexerOptions } from '../../../../../../lib/databases/postgres/restore/sql/lexer';

/** A statement with its rows, or a meta-command, with the line it begins on. */
type Piece = [line: number, text: string, rows?: string];

async function* inChunks(script: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
	for (let from = 0, at = 0; from < script.length; at++) {
		const size = sizes[at % sizes.length]!;
		// A copy, so that nothing of the next chunk can be seen.
		yield Buffer.from(script.subarray(from, from + size));
		from += size;
	}
}

async function split(
	script: string | Buffer,
	sizes: readonly number[] = [1 << 20],
	options: SqlLexerOptions = {},
): Promise<Piece[]> {
	const bytes = typeof script === 'string' ? Buffer.from(script) : script;
	const encoding = typeof script === 'string' ? 'utf8' : 'latin1';
	const lexer = new SqlLexer(inChunks(bytes, sizes), options);
	const pieces: Piece[] = [];
	for (let item; (item = await lexer.next());) {
		if (item.kind === 'meta-command') pieces.push([item.line, item.text]);
		else if (!item.hasCopyData) pieces.push([item.line, item.sql.toString(encoding)]);
		else {
			const rows: Buffer[] = [];
			for await (const chunk of lexer.copyData()) rows.push(chunk);
			pieces.push([item.line, item.sql.toString(encoding), Buffer.concat(rows).toString(encoding)]);
		}
	}
	assert.equal(lexer.position, bytes.length);
	return pieces;
}

const texts = async (script: string) => (await split(script)).map(([, text]) => text);

describe('what ends a statement', () => {
	for (const [name, statements] of Object.entries({
		strings: ["SELECT 'a;b', 'it''s; \\'", 'SELECT 2'],
		'escape strings': [String.raw`SELECT E'a\';b', e'\\', 'c'`, "SELECT 'd'"],
		'an E that ends a longer word': [String.raw`SELECT fooe'\'`, 'SELECT 2'],
		'an escape string that goes on on the next line': [
			String.raw`SELECT E'a'` + '\n' + String.raw`  '\';'`,
			'SELECT 1',
		],
		'the same behind a comment': [String.raw`SELECT E'a' -- x` + '\n' + String.raw`'\';'`, 'SELECT 1'],
		'a plain string behind an escape string': [String.raw`SELECT E'a', '\'`, 'SELECT 1'],
		'quoted names': ['SELECT "a;""b"', 'SELECT "\'", 1'],
		'dollar quotes': ['SELECT $$a;$b$;$$', 'SELECT $b$ ; $$ ; $bb$ ; $b$', 'SELECT $1'],
		'a dollar quote whose tag has an accent': ['SELECT $é$;$é$', 'SELECT 1'],
		'a dollar inside a word': ['SELECT a$b$c', 'SELECT 1$b$;$b$'],
		'line comments': ['SELECT 1 -- ; "\n', 'SELECT 2'],
		'line comments that end with a carriage return, as in psql': [
			'SELECT 1 -- "\r + 1',
			'SELECT 2 -- ; "\r\n',
		],
		'nested comments': ["SELECT 1 /* ; /* ; */ ' /*/ ; */ */ */", 'SELECT 2'],
		'operators that look like comments': ['SELECT 1 - - 2 / 3 */**/ 4', 'SELECT 2'],
		parentheses: [
			'CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO a VALUES (1); DELETE FROM b;)',
			'SELECT 1',
		],
		'a body in BEGIN ATOMIC': [
			'CREATE OR REPLACE FUNCTION f(a int DEFAULT (1)) RETURNS int LANGUAGE sql BEGIN ATOMIC\n' +
				' SELECT CASE WHEN a > 1 THEN 2 END; SELECT t.end FROM t; END',
			'SELECT 1',
		],
		'a procedure in BEGIN ATOMIC': [
			'create procedure p() begin atomic insert into t values (1); end',
			'SELECT 1',
		],
		'begin and end as names': [
			'CREATE FUNCTION begin() RETURNS int AS $$1$$',
			'CREATE TABLE atomic (begin int)',
		],
	})) {
		test(name, async () => {
			assert.deepEqual(await texts(statements.map((sql) => `${sql};\n`).join('')), statements);
		});
	}

	test('standard_conforming_strings off makes a backslash an escape', async () => {
		const script = String.raw`SET standard_conforming_strings = off;SELECT 'a\';b';SET SESSION standard_conforming_strings TO 'on';SELECT '\';`;
		assert.deepEqual(await texts(script), [
			'SET standard_conforming_strings = off',
			String.raw`SELECT 'a\';b'`,
			"SET SESSION standard_conforming_strings TO 'on'",
			String.raw`SELECT '\'`,
		]);
	});

	test('a second byte that looks like a backslash is none in the encodings only clients use', async () => {
		// 0x83 0x5c is one character of Shift JIS, 0xb1 another.
		const sjis = Buffer.from(
			"SET client_encoding = 'SJIS';SELECT E'\x83\x5c', E'\xb1\x5c';', 1;SELECT 2;",
			'latin1',
		);
		assert.deepEqual(
			(await split(sjis)).map(([, sql]) => sql),
			["SET client_encoding = 'SJIS'", "SELECT E'\x83\x5c', E'\xb1\x5c';', 1", 'SELECT 2'],
		);
		const latin = Buffer.from("SET client_encoding = 'LATIN1';SELECT E'\x83\x5c';', 1;SELECT 2;", 'latin1');
		assert.equal((await split(latin)).length, 3);
	});

	test('what stands behind a carriage return is in no comment', async () => {
		assert.deepEqual(await texts('-- made on a Mac\rSELECT 1;\r-- x\r\nSELECT 2;\r'), [
			'SELECT 1',
			'SELECT 2',
		]);
	});

	test('white space, comments and lone semicolons between statements are no statements', async () => {
		assert.deepEqual(await split('\ufeff\n-- a;\n;;/* b; */ SELECT 1;\n\n SELECT\n2;--'), [
			[3, 'SELECT 1'],
			[5, 'SELECT\n2'],
		]);
	});
});

describe('rows', () => {
	const script = [
		'COPY public.a (x) FROM stdin;',
		'1\\tone',
		'\\\\.',
		'\\.x',
		'x\\.',
		'',
		'\\.',
		'',
		'COPY b FROM STDIN WITH (FORMAT csv); -- rows',
		'\\.',
		'SELECT 1;',
		'',
	].join('\n');
	const pieces: Piece[] = [
		[1, 'COPY public.a (x) FROM stdin', '1\\tone\n\\\\.\n\\.x\nx\\.\n\n'],
		[9, 'COPY b FROM STDIN WITH (FORMAT csv)', ''],
		[11, 'SELECT 1'],
	];

	test('end at the line \\. and nowhere else', async () => {
		assert.deepEqual(await split(script), pieces);
	});

	test('with line breaks of Windows', async () => {
		const windows = script.replaceAll('\n', '\r\n');
		assert.deepEqual((await split(windows))[0], [1, pieces[0]![1], pieces[0]![2]!.replaceAll('\n', '\r\n')]);
	});

	test('end with the script where the last line break is missing', async () => {
		for (const end of ['\\.', '\\.\r']) {
			for (const sizes of [[100], [1]]) {
				assert.deepEqual(await split(`COPY a FROM stdin;\n1\n${end}`, sizes), [
					[1, 'COPY a FROM stdin', '1\n'],
				]);
			}
		}
	});

	test('may hold bytes of any value', async () => {
		const bytes = Buffer.concat([
			Buffer.from('COPY a FROM stdin;\n'),
			Buffer.from(Array.from({ length: 512 }, (_, at) => at % 256)),
			Buffer.from('\n\\.\n'),
		]);
		const [piece] = await split(bytes, [7]);
		assert.equal(piece![2]!.length, 513);
	});

	test('nothing else may stand behind the statement on its line', async () => {
		await assert.rejects(split('COPY a FROM stdin; SELECT 1;\n\\.\n'), { code: 'INVALID_SQL' });
	});
});

describe('meta-commands', () => {
	test('are told apart, with their line', async () => {
		assert.deepEqual(await split('\\restrict abc\n\nSELECT 1;\n  \\connect "my db"\n\\! rm -rf /'), [
			[1, '\\restrict abc'],
			[3, 'SELECT 1'],
			[4, '\\connect "my db"'],
			[5, '\\! rm -rf /'],
		]);
	});

	test('are found inside statements too', async () => {
		const lexer = new SqlLexer(inChunks(Buffer.from('SELECT 1 AS a \\gset\nSELECT 2;'), [3]));
		const first = await lexer.next();
		assert.equal(first?.kind === 'meta-command' && first.insideStatement, true);
		const second = await lexer.next();
		assert.equal(second?.kind === 'statement' && second.sql.toString(), 'SELECT 2');
	});
});

describe('scripts that end too early', () => {
	for (const [name, script] of Object.entries({
		'in a statement': 'SELECT 1;\nSELECT 2',
		'in a string': "SELECT 'a;",
		'in a quoted name': 'SELECT "a;',
		'in a dollar-quoted body': 'DO $x$ begin; $x;',
		'in a comment': 'SELECT 1; /* x',
		'in rows': 'COPY a FROM stdin;\n1\n2\n',
		'in half an end marker': 'COPY a FROM stdin;\n1\n\\',
		'before rows': 'COPY a FROM stdin;',
	})) {
		test(name, async () => {
			for (const sizes of [[1000], [1]]) {
				await assert.rejects(split(script, sizes), (error) => {
					assert.ok(error instanceof LifeboatError);
					assert.equal(error.code, 'INCOMPLETE');
					return true;
				});
			}
		});
	}

	test('the message names the line', async () => {
		await assert.rejects(split('SELECT 1;\n\nSELECT $$\n\n'), /a dollar-quoted string that begins on line 3/);
	});
});

test('a statement longer than the limit is refused', async () => {
	await assert.rejects(split(`SELECT 1;\nSELECT '${'x'.repeat(5000)}`, [64], { maxStatementSize: 1000 }), {
		code: 'STATEMENT_TOO_LONG',
		message: /line 2/,
	});
});

test('a zero byte in a statement is refused', async () => {
	await assert.rejects(split("SELECT '\0';"), { code: 'INVALID_SQL', hint: /UTF-16/ });
});

test('the comments of pg_dump are noted, text in strings is not', async () => {
	const script = (end: string) =>
		`--\n-- PostgreSQL database dump\n--\n-- Dumped from database version 16.4 (Debian)\nSELECT 1;\n${end}`;
	const comments = async (text: string) => {
		const lexer = new SqlLexer(inChunks(Buffer.from(text), [5]));
		while (await lexer.next());
		return lexer.comments;
	};
	const trailer = '--\n-- PostgreSQL database dump complete\n--\n';
	const serverVersion = '16.4 (Debian)';
	assert.deepEqual(await comments(script(trailer)), { header: true, trailer: true, serverVersion });
	assert.deepEqual(await comments(script(`${trailer}\\unrestrict x\n`)), {
		header: true,
		trailer: true,
		serverVersion,
	});
	assert.deepEqual(await comments(script('')), { header: true, trailer: false, serverVersion });
	assert.deepEqual(await comments(script(`${trailer}SELECT 2;`)), {
		header: true,
		trailer: false,
		serverVersion,
	});
	assert.deepEqual(await comments(script(`SELECT '\n${trailer}';`)), {
		header: true,
		trailer: false,
		serverVersion,
	});
});

test('the size of the chunks makes no difference', async () => {
	const fragments = [
		"SELECT 'a;''b' ;\n",
		String.raw`SELECT E'\';' , $1, 'x' "q;""" ;` + '\r\n',
		"-- comment ; ' $$\n",
		'/* a /* ; */ * / */',
		'SELECT $tag$ ;$$ $tag $tag$ ;',
		'CREATE FUNCTION ü() RETURNS int BEGIN ATOMIC SELECT case when true then 1 end; END;',
		'CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);',
		'COPY "ä"."b;" (x, "y") FROM stdin;\n1\t\\N\n\\\\.\n\\.\\\nx\\.\n\\.\n',
		'COPY c FROM stdin;\n\\.\r\n',
		'\\restrict AbC\n',
		String.raw`SELECT E'a'` + '\n\t' + String.raw`'\'' ;`,
		';',
		'SELECT 1 - -1 / 2 ;\n',
		'日本語 ;',
	];
	await fc.assert(
		fc.asyncProperty(
			fc.array(fc.constantFrom(...fragments), { minLength: 1, maxLength: 12 }),
			fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 }),
			async (parts, sizes) => {
				const script = parts.join('\n');
				const whole = await split(script);
				assert.deepEqual(await split(script, sizes), whole);
				assert.deepEqual(await split(script, [1]), whole);
			},
		),
		{ numRuns: 300 },
	);
});
