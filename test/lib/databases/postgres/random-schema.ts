import fc from 'fast-check';

/** One step of making a schema: which building block, under which name, and numbers that decide about its details. */
export interface Step {
	block: number;
	name: string;
	/** What a comment or a value says. */
	text: string;
	picks: readonly number[];
}

/** A database to be made. */
export interface RandomSchema {
	encoding: 'UTF8' | 'LATIN1' | 'EUC_JP' | 'SQL_ASCII';
	steps: readonly Step[];
}

/** Characters that each encoding has besides ASCII; a database without encoding takes all bytes. */
const letters = {
	UTF8: 'äÉ日本🙂\u0301\u2028',
	LATIN1: 'äÉß\u00a0\u0085',
	EUC_JP: '日本語ｶﾅ',
	SQL_ASCII: 'ä日',
};

const oddNames = [
	...[
		'select',
		'user',
		'Mixed Case',
		'quo"te',
		"apo'strophe",
		'new\nline',
		'car\rriage',
		'tab\tbed',
		'a.b',
		'$1',
	],
	...[
		'back\\slash',
		'--dashes',
		'/* x',
		'*/',
		';',
		'%s %I',
		' ',
		'name',
		'time',
		'$$',
		'{a,b}',
		'(x',
		'LARGE OBJECT 1',
	],
	...[
		'TABLE x',
		'x; Type: TABLE; Schema: y',
		'\\connect z',
		'\\.',
		'\\N',
		'-',
		'pg_x',
		'null',
		'_',
		'0',
		'%',
	],
];

const encodings = ['UTF8', 'UTF8', 'LATIN1', 'EUC_JP', 'SQL_ASCII'] as const;

/** Schemas made of building blocks in random order. @param most how many blocks there are at most. */
export function randomSchema(most: number): fc.Arbitrary<RandomSchema> {
	return fc.constantFrom(...encodings).chain((encoding) => {
		const ascii = Array.from({ length: 127 }, (_, code) => String.fromCharCode(code + 1));
		const character = fc.constantFrom(...ascii, ...letters[encoding], ...letters[encoding]);
		const text = fc.string({ unit: character, maxLength: 40 });
		const name = fc.oneof(
			fc.constantFrom(...oddNames),
			fc.string({ unit: character, minLength: 1, maxLength: 8 }),
		);
		const picks = fc.array(fc.nat(0xffff), { minLength: 12, maxLength: 12 });
		const step = fc.record({ block: fc.nat(blocks.length - 1), name, text, picks });
		return fc.record({
			encoding: fc.constant(encoding),
			steps: fc.array(step, { minLength: Math.floor(most / 2), maxLength: most, size: 'max' }),
		});
	});
}

const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;
const literal = (text: string) =>
	text.includes('\\')
		? `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
		: `'${text.replaceAll("'", "''")}'`;

interface Table {
	name: string;
	columns: string[];
	partitioned?: boolean;
}

/** What the blocks before have made, by its name as SQL. */
class Made {
	readonly schemas = ['public'];

	readonly tables: Table[] = [];

	readonly views: string[] = [];

	readonly types = [
		'integer',
		'text',
		'numeric(9,3)',
		'timestamptz',
		'jsonb',
		'bytea',
		'double precision',
		'text[]',
		'bit(5)',
	];

	/** Take an integer, give one, immutable. */
	readonly functions = ['pg_catalog.abs'];

	readonly triggers: string[] = [];

	readonly sequences: string[] = [];

	private count = 0;

	constructor(readonly roles: readonly string[]) {}

	/** A name that nothing else has. */
	unique({ name }: Step): string {
		this.count += 1;
		return quote(`${name}${this.count}`);
	}
}

class Picker {
	private at = 0;

	constructor(private readonly picks: readonly number[]) {}

	number(limit: number): number {
		const pick = this.picks[this.at % this.picks.length]! + Math.floor(this.at / this.picks.length);
		this.at += 1;
		return pick % limit;
	}

	of<Item>(items: readonly Item[]): Item {
		return items[this.number(items.length)]!;
	}

	some(...texts: string[]): string {
		return texts.filter(() => this.number(2) === 0).join(' ');
	}
}

type Block = (made: Made, step: Step, pick: Picker) => string[];

const qualified = (made: Made, step: Step, pick: Picker) => `${pick.of(made.schemas)}.${made.unique(step)}`;

/** Building blocks: each gives statements, which may fail where they don't fit what is there. */
const blocks: Block[] = [
	function schema(made, step, pick) {
		const name = made.unique(step);
		made.schemas.push(name);
		return [
			`CREATE SCHEMA ${name} ${pick.some(`AUTHORIZATION ${pick.of(made.roles)}`)}`,
			`COMMENT ON SCHEMA ${name} IS ${literal(step.text)}`,
		];
	},
	function enumeration(made, step, pick) {
		const name = qualified(made, step, pick);
		made.types.push(name);
		return [
			`CREATE TYPE ${name} AS ENUM (${literal(step.name.slice(0, 15))}, 'b')`,
			`ALTER TYPE ${name} ADD VALUE ${literal(`x${step.text.slice(0, 10)}`)} BEFORE 'b'`,
		];
	},
	function composite(made, step, pick) {
		const name = qualified(made, step, pick);
		const over = qualified(made, step, pick);
		const statements = [
			`CREATE TYPE ${name} AS (a ${pick.of(made.types)}, ${quote(step.name)} ${pick.of(made.types)}, dropped integer)`,
			`ALTER TYPE ${name} DROP ATTRIBUTE dropped`,
			`COMMENT ON COLUMN ${name}.a IS ${literal(step.text)}`,
			`CREATE DOMAIN ${over} AS ${name} CONSTRAINT ${quote(step.name)} CHECK ((VALUE).a IS NOT NULL OR VALUE IS NULL)`,
			`COMMENT ON CONSTRAINT ${quote(step.name)} ON DOMAIN ${over} IS ${literal(step.text)}`,
		];
		made.types.push(name, over, `${name}[]`);
		return statements;
	},
	function domain(made, step, pick) {
		const name = qualified(made, step, pick);
		const base = pick.of(made.types);
		made.types.push(name);
		return [
			`CREATE DOMAIN ${name} AS ${base} ${pick.some('COLLATE "C"')} CHECK (VALUE IS DISTINCT FROM NULL OR true)`,
			`COMMENT ON DOMAIN ${name} IS ${literal(step.text)}`,
		];
	},
	function range(made, step, pick) {
		const name = qualified(made, step, pick);
		made.types.push(name);
		return [
			`CREATE TYPE ${name} AS RANGE (subtype = ${pick.of(['float8', 'text', 'timestamp', 'int8'])}, multirange_type_name = ${qualified(made, step, pick)})`,
		];
	},
	function sqlFunction(made, step, pick) {
		const name = qualified(made, step, pick);
		const inner = pick.of(made.functions);
		const body = `SELECT ${inner}($1) + ${pick.number(9)} -- ${step.text.replace(/[\r\n]/g, ' ')}\n`;
		const statement =
			pick.number(2) === 0
				? `CREATE FUNCTION ${name}(${quote(step.name)} integer) RETURNS integer IMMUTABLE LANGUAGE sql AS ${literal(body)}`
				: `CREATE FUNCTION ${name}(${quote(step.name)} integer) RETURNS integer IMMUTABLE LANGUAGE sql BEGIN ATOMIC SELECT ${inner}($1) + CASE WHEN $1 > 0 THEN 1 ELSE 2 END; END`;
		made.functions.push(name);
		return [
			statement,
			`COMMENT ON FUNCTION ${name} IS ${literal(step.text)}`,
			`GRANT EXECUTE ON FUNCTION ${name} TO ${pick.of(made.roles)} WITH GRANT OPTION`,
			`ALTER FUNCTION ${name} SET search_path TO ${pick.of(made.schemas)}, pg_catalog`,
		];
	},
	function table(made, step, pick) {
		const name = qualified(made, step, pick);
		const columns = Array.from({ length: pick.number(6) }, (_, at) => quote(`${step.name}${at}`));
		const types = columns.map(() => pick.of(made.types));
		const tail = columns.map((_, at) =>
			at === 0
				? `integer ${pick.some('NOT NULL')}`
				: `${types[at]} ${pick.some('DEFAULT NULL', `CONSTRAINT ${quote(`${step.name} ${at}`)} CHECK (true IS NOT NULL)`)}`,
		);
		const [first] = columns;
		const extra = first
			? [
					...[
						`g1 integer GENERATED ALWAYS AS (${pick.of(made.functions)}(${first})) STORED`,
						`d1 integer DEFAULT ${pick.of(made.functions)}(-5)`,
					],
					...[
						`gone text`,
						`i1 bigint GENERATED ${pick.of(['ALWAYS', 'BY DEFAULT'])} AS IDENTITY (START 7 INCREMENT ${1 + pick.number(5)})`,
					],
				]
			: [];
		made.tables.push({ name, columns });
		return [
			`CREATE ${pick.of(['', '', '', 'UNLOGGED'])} TABLE ${name} (${[...columns.map((column, at) => `${column} ${tail[at]}`), ...extra].join(', ')}) ${pick.some('WITH (fillfactor = 70, autovacuum_enabled = false)')}`,
			...(first
				? [
						`ALTER TABLE ${name} DROP COLUMN gone`,
						`INSERT INTO ${name} (${first}) SELECT n FROM generate_series(1, 5) n`,
						...pick.of([
							[],
							[`ALTER TABLE ${name} ADD CONSTRAINT ${made.unique(step)} PRIMARY KEY (${first})`],
						]),
						`ALTER TABLE ${name} ALTER d1 SET STATISTICS ${pick.number(900)}`,
						`COMMENT ON COLUMN ${name}.${first} IS ${literal(step.text)}`,
						`GRANT SELECT (${first}), UPDATE (${first}) ON ${name} TO ${pick.of(made.roles)}`,
					]
				: [`INSERT INTO ${name} DEFAULT VALUES`]),
			`COMMENT ON TABLE ${name} IS ${literal(step.text)}`,
			`ALTER TABLE ${name} OWNER TO ${pick.of(made.roles)}`,
		];
	},
	function values(made, step, pick) {
		const name = qualified(made, step, pick);
		const all = Array.from({ length: 127 }, (_, code) => String.fromCharCode(code + 1)).join('');
		return [
			`CREATE TABLE ${name} (id serial PRIMARY KEY, t text, b bytea, f float8[], "N" text STORAGE EXTERNAL)`,
			`ALTER TABLE ${name} ALTER t SET COMPRESSION pglz`,
			`INSERT INTO ${name} (t, b, f, "N") VALUES (${literal(all)}, '\\x00ff5c2e0a', '{NaN,Infinity,-0,4e-324}', NULL), (${literal(step.text)}, '', '{}', ''),
				('\\N', NULL, NULL, 'NULL'), ('\\.', '\\x5c', NULL, E'\\\\.\\n\\\\.'), (E'\\r\\n', NULL, '{NULL}', E'\\t\\\\t'), (${literal(step.name)}, NULL, NULL, repeat('x', ${pick.number(9999)}))`,
		];
	},
	function child(made, step, pick) {
		const parent = pick.of(made.tables);
		const name = qualified(made, step, pick);
		made.tables.push({ name, columns: parent.columns });
		return [
			`CREATE TABLE ${name} (more integer DEFAULT 3, CHECK (more > 0)) INHERITS (${parent.name})`,
			...(parent.columns[0]
				? [
						`ALTER TABLE ${name} ALTER ${parent.columns[0]} SET DEFAULT 4`,
						`INSERT INTO ${name} (${parent.columns[0]}) VALUES (77)`,
					]
				: []),
			`ALTER TABLE ${parent.name} ADD COLUMN late integer DEFAULT 8`,
		];
	},
	function partitioned(made, step, pick) {
		const name = qualified(made, step, pick);
		const one = qualified(made, step, pick);
		const two = qualified(made, step, pick);
		const column = quote(step.name);
		const enumeration = made.types.find((type) => type.includes('.') && !type.endsWith('[]')) ?? 'text';
		const [by, first, second] = pick.of([
			[`RANGE (k)`, `FROM (MINVALUE) TO (10)`, `FROM (10) TO (MAXVALUE)`],
			[`LIST (k)`, `IN (1, 2, NULL)`, `DEFAULT`],
			[`HASH (k)`, `WITH (MODULUS 2, REMAINDER 0)`, `WITH (MODULUS 2, REMAINDER 1)`],
			[`HASH (e)`, `WITH (MODULUS 2, REMAINDER 0)`, `WITH (MODULUS 2, REMAINDER 1)`],
			[`RANGE (k, (k + 1))`, `FROM (MINVALUE, MINVALUE) TO (5, 5)`, `DEFAULT`],
		]);
		const bound = (text: string | undefined) => (text === 'DEFAULT' ? text : `FOR VALUES ${text}`);
		made.tables.push({ name, columns: ['k'], partitioned: true });
		return [
			`CREATE TABLE ${name} (k integer, ${column} text DEFAULT 'x', e ${enumeration}) PARTITION BY ${by}`,
			`CREATE TABLE ${one} PARTITION OF ${name} (${column} DEFAULT 'other', CHECK (k IS NULL OR k < 1000)) ${bound(first)}`,
			`CREATE TABLE ${two} (gone integer, e ${enumeration}, ${column} text, k integer) WITH (fillfactor = 80)`,
			`ALTER TABLE ${two} DROP COLUMN gone`,
			`ALTER TABLE ${name} ATTACH PARTITION ${two} ${bound(second)}`,
			`CREATE INDEX ON ${name} (k, ${column})`,
			`INSERT INTO ${name} (k) SELECT n FROM generate_series(1, 12) n`,
			`ALTER TABLE ${two} ALTER k SET NOT NULL`,
		];
	},
	function index(made, step, pick) {
		const { name, columns } = pick.of(made.tables);
		const [column = 'none'] = columns;
		const index = made.unique(step);
		return [
			`CREATE ${pick.of(['', 'UNIQUE'])} INDEX ${index} ON ${name} (${column}, (${pick.of(made.functions)}(${column}))) ${pick.some(`WHERE (${pick.of(made.functions)}(${column}) > 0)`)}`,
			`COMMENT ON INDEX ${name.slice(0, name.indexOf('.'))}.${index} IS ${literal(step.text)}`,
			`ALTER INDEX ${name.slice(0, name.indexOf('.'))}.${index} ALTER COLUMN 2 SET STATISTICS 400`,
			pick.of([
				`ALTER TABLE ${name} CLUSTER ON ${index}`,
				`ALTER TABLE ${name} REPLICA IDENTITY FULL`,
				`ALTER TABLE ${name} REPLICA IDENTITY USING INDEX ${index}`,
			]),
		];
	},
	function check(made, step, pick) {
		const { name, columns } = pick.of(made.tables);
		return [
			`ALTER TABLE ${name} ADD CONSTRAINT ${made.unique(step)} CHECK (${pick.of(made.functions)}(${columns[0] ?? 'none'}) > -99) ${pick.of(['', 'NOT VALID', 'NO INHERIT'])}`,
		];
	},
	function foreignKey(made, step, pick) {
		const a = pick.of(made.tables);
		const b = pick.of(made.tables);
		const key = (from: Table, to: Table) =>
			`ALTER TABLE ${from.name} ADD CONSTRAINT ${made.unique(step)} FOREIGN KEY (${from.columns[0]}) REFERENCES ${to.name} ${pick.of(['', 'ON DELETE CASCADE', `ON DELETE SET NULL (${from.columns[0]})`])} ${pick.of(['', 'DEFERRABLE INITIALLY DEFERRED', 'NOT VALID'])}`;
		return [key(a, b), key(b, a)];
	},
	function view(made, step, pick) {
		const name = qualified(made, step, pick);
		const from = pick.of([...made.tables.map((table) => table.name), ...made.views]);
		made.views.push(name);
		return [
			`CREATE VIEW ${name} ${pick.some('WITH (security_barrier)')} AS SELECT x.*, ${pick.of(made.functions)}(1) AS ${made.unique(step)}, x AS ${made.unique(step)} FROM ${from} x`,
			`COMMENT ON VIEW ${name} IS ${literal(step.text)}`,
			`CREATE RULE ${made.unique(step)} AS ON INSERT TO ${name} DO INSTEAD NOTHING`,
		];
	},
	function materialized(made, step, pick) {
		const name = qualified(made, step, pick);
		const from = pick.of([...made.tables.map((table) => table.name), ...made.views]);
		made.views.push(name);
		return [
			`CREATE MATERIALIZED VIEW ${name} AS SELECT count(*) AS ${quote(step.name)}, 1 AS one FROM ${from} ${pick.of(['', 'WITH NO DATA'])}`,
			`CREATE UNIQUE INDEX ON ${name} (one)`,
		];
	},
	function circularViews(made, step, pick) {
		const name = qualified(made, step, pick);
		const routine = qualified(made, step, pick);
		return [
			`CREATE VIEW ${name} AS SELECT 1 AS a, 'x'::text AS ${quote(step.name)}`,
			`CREATE FUNCTION ${routine}() RETURNS SETOF ${name} LANGUAGE sql BEGIN ATOMIC SELECT 2 AS a, 'y'::text AS ${quote(step.name)}; END`,
			`CREATE OR REPLACE VIEW ${name} AS SELECT a, ${quote(step.name)} FROM ${routine}()`,
		];
	},
	function keyedView(made, step, pick) {
		const table = qualified(made, step, pick);
		return [
			`CREATE TABLE ${table} (id integer PRIMARY KEY, ${quote(step.name)} text)`,
			`CREATE VIEW ${qualified(made, step, pick)} AS SELECT id, ${quote(step.name)}, count(*) AS n FROM ${table} GROUP BY id`,
		];
	},
	function trigger(made, step, pick) {
		const routine = qualified(made, step, pick);
		const { name, partitioned } = pick.of(made.tables);
		const trigger = made.unique(step);
		return [
			`CREATE FUNCTION ${routine}() RETURNS trigger LANGUAGE plpgsql AS ${literal(`BEGIN\n/* ${step.text.replaceAll('*/', '').replaceAll('/*', '')} */ RETURN NULL; END`)}`,
			`CREATE ${pick.of(['', 'CONSTRAINT'])} TRIGGER ${trigger} AFTER INSERT ON ${name} ${pick.some('DEFERRABLE INITIALLY DEFERRED')} FOR EACH ROW EXECUTE FUNCTION ${routine}(${literal(step.text)}, 'b')`,
			`ALTER TABLE ${partitioned ? 'ONLY ' : ''}${name} ${pick.of(['DISABLE', 'ENABLE REPLICA', 'ENABLE ALWAYS', 'ENABLE'])} TRIGGER ${trigger}`,
			`COMMENT ON TRIGGER ${trigger} ON ${name} IS ${literal(step.text)}`,
		];
	},
	function policy(made, step, pick) {
		const { name, columns } = pick.of(made.tables);
		return [
			`CREATE POLICY ${made.unique(step)} ON ${name} ${pick.some('AS RESTRICTIVE')} FOR ALL TO ${pick.of([...made.roles, 'PUBLIC'])} USING (${columns[0] ?? '1'} > 0) WITH CHECK (${literal(step.text)} <> '')`,
			`ALTER TABLE ${name} ${pick.of(['ENABLE', 'FORCE'])} ROW LEVEL SECURITY`,
		];
	},
	function sequence(made, step, pick) {
		const name = qualified(made, step, pick);
		const { name: table, columns } = pick.of(made.tables);
		return [
			`CREATE ${pick.of(['', 'UNLOGGED'])} SEQUENCE ${name} AS ${pick.of(['bigint', 'smallint'])} INCREMENT ${pick.of([1, -3, 5])} CACHE 7 ${pick.some('CYCLE')}`,
			`SELECT nextval(${literal(name)}), nextval(${literal(name)})`,
			`ALTER TABLE ${table} ALTER ${columns[0] ?? 'none'} SET DEFAULT nextval(${literal(name)})`,
			`ALTER SEQUENCE ${name} OWNED BY ${table}.${columns[0] ?? 'none'}`,
			`GRANT USAGE ON SEQUENCE ${name} TO ${pick.of(made.roles)}`,
		];
	},
	function statistics(made, step, pick) {
		const { name, columns } = pick.of(made.tables);
		const statistics = qualified(made, step, pick);
		return [
			`CREATE STATISTICS ${statistics} (dependencies, mcv) ON ${columns[0] ?? 'none'}, (${columns[0] ?? 'none'} + 1) FROM ${name}`,
			`ALTER STATISTICS ${statistics} SET STATISTICS 50`,
			`COMMENT ON STATISTICS ${statistics} IS ${literal(step.text)}`,
		];
	},
	function aggregate(made, step, pick) {
		const name = qualified(made, step, pick);
		return [
			`CREATE AGGREGATE ${name}(integer, VARIADIC "any") (SFUNC = int4pl, STYPE = integer)`,
			`CREATE AGGREGATE ${name}(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0')`,
			`COMMENT ON AGGREGATE ${name}(integer) IS ${literal(step.text)}`,
			`CREATE OPERATOR ${pick.of(made.schemas)}.${pick.of(['<%~', '+-@', '===='])} (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4pl)`,
		];
	},
	function privileges(made, _step, pick) {
		const { name } = pick.of(made.tables);
		const role = pick.of(made.roles);
		return [
			`GRANT ${pick.of(['SELECT', 'ALL', 'INSERT, DELETE'])} ON ${name} TO ${role} ${pick.some('WITH GRANT OPTION')}`,
			`REVOKE ALL ON ${name} FROM ${pick.of([...made.roles, 'CURRENT_USER'])}`,
			`ALTER DEFAULT PRIVILEGES FOR ROLE ${role} ${pick.some(`IN SCHEMA ${pick.of(made.schemas)}`)} GRANT ${pick.of(['SELECT ON TABLES', 'USAGE ON TYPES', 'EXECUTE ON FUNCTIONS'])} TO ${pick.of(made.roles)}`,
			`ALTER DEFAULT PRIVILEGES FOR ROLE ${role} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC`,
		];
	},
	function largeObject(made, step, pick) {
		const oid = 20_000 + pick.number(40_000);
		return [
			`SELECT lo_from_bytea(${oid}, decode(repeat('5c00ff0a27', ${pick.number(9000)}), 'hex'))`,
			`COMMENT ON LARGE OBJECT ${oid} IS ${literal(step.text)}`,
			`GRANT SELECT ON LARGE OBJECT ${oid} TO ${pick.of(made.roles)}`,
			`ALTER LARGE OBJECT ${oid} OWNER TO ${pick.of(made.roles)}`,
		];
	},
	function publication(made, step, pick) {
		const name = made.unique(step);
		const { name: table, columns } = pick.of(made.tables);
		return [
			`CREATE PUBLICATION ${name} FOR TABLE ${table} ${columns[0] ? `(${columns[0]}) WHERE (${columns[0]} > 3)` : ''} WITH (publish = 'insert, truncate')`,
			`ALTER PUBLICATION ${name} ADD TABLES IN SCHEMA ${pick.of(made.schemas)}`,
			`COMMENT ON PUBLICATION ${name} IS ${literal(step.text)}`,
		];
	},
	function textSearch(made, step, pick) {
		const dictionary = qualified(made, step, pick);
		const configuration = qualified(made, step, pick);
		return [
			`CREATE TEXT SEARCH DICTIONARY ${dictionary} (TEMPLATE = simple)`,
			`CREATE TEXT SEARCH CONFIGURATION ${configuration} (COPY = simple)`,
			`ALTER TEXT SEARCH CONFIGURATION ${configuration} ALTER MAPPING FOR word WITH ${dictionary}, simple`,
			`CREATE COLLATION ${qualified(made, step, pick)} (provider = libc, locale = 'C')`,
			`CREATE CAST (${pick.of(made.types)} AS ${pick.of(made.types)}) WITH INOUT`,
		];
	},
];

/** The groups of statements that make a schema, one a building block. */
export function statementsOf({ steps }: RandomSchema, roles: readonly string[]): string[][] {
	const made = new Made(roles);
	// What others need is there from the start.
	const first = ['schema', 'enumeration', 'table', 'table', 'partitioned'].map((name) =>
		blocks.findIndex((block) => block.name === name),
	);
	return steps.map((step, at) => {
		const block = blocks[first[at] ?? step.block]!;
		return block(made, step, new Picker(step.picks));
	});
}
