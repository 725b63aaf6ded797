import type { Client } from 'pg';

/** What is chosen of a dump: its kinds and names. */
type Chosen = readonly { desc: string; tag: string }[];

/** Types and routines of a schema that may be moved. `oid::regtype` and `oid::regprocedure` write them as statements take them. */
const movable = `
	SELECT 'TYPE' AS kind, t.oid, t.typname::text AS name FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
	WHERE t.typnamespace = $1::regnamespace AND (t.typtype IN ('d', 'e', 'r') OR c.relkind = 'c' OR t.typtype = 'b' AND t.typcategory <> 'A')
		AND pg_catalog.pg_has_role(t.typowner, 'USAGE')
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_type o WHERE o.typnamespace = $2::regnamespace AND o.typname = t.typname)
	UNION ALL
	SELECT 'ROUTINE', p.oid, p.proname::text FROM pg_catalog.pg_proc p
	WHERE p.pronamespace = $1::regnamespace AND p.prokind IN ('f', 'p') AND pg_catalog.pg_has_role(p.proowner, 'USAGE')
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc o WHERE o.pronamespace = $2::regnamespace AND o.proname = p.proname)`;

interface Lent {
	kind: 'TYPE' | 'ROUTINE';
	oid: number;
	name: string;
}

/**
 * Types and functions of a schema that has made room for the one of a dump. A script does not say which of them its tables need, so
 * those that are there and are not restored themselves are lent to it until the restore ends. All of it in the restore's transaction.
 */
export class LentObjects {
	private lent: Lent[] = [];

	constructor(
		private readonly client: Client,
		/** The name that the schema has meanwhile. */
		private readonly owner: string,
		/** The schema that borrows them. Both names quoted. */
		private readonly borrower: string,
	) {}

	/** @param chosen of the dump: what it brings itself is not lent. */
	async lend(chosen: Chosen): Promise<void> {
		const types = new Set(chosen.filter(({ desc }) => /^(?:TYPE|DOMAIN)$/.test(desc)).map(({ tag }) => tag));
		// The tag of a function is its name with the types of its arguments.
		const routines = new Set(
			chosen
				.filter(({ desc }) => /^(?:FUNCTION|PROCEDURE|AGGREGATE)$/.test(desc))
				.map(({ tag }) => tag.replace(/\(.*$/s, '')),
		);
		const { rows } = await this.client.query<Lent>(movable, [this.owner, this.borrower]);
		for (const each of rows) {
			if ((each.kind === 'TYPE' ? types : routines).has(each.name)) continue;
			await this.move(each, this.borrower);
			this.lent.push(each);
		}
	}

	/** To be called before the schemas get their names back. */
	async giveBack(): Promise<void> {
		for (const each of this.lent) await this.move(each, this.owner);
		this.lent = [];
	}

	/** By its oid: what it is called changes with what its arguments are called. */
	private async move({ kind, oid }: Lent, schema: string): Promise<void> {
		const { rows } = await this.client.query<{ name: string }>(
			`SELECT $1::pg_catalog.oid::${kind === 'TYPE' ? 'regtype' : 'regprocedure'}::text AS name`,
			[oid],
		);
		await this.client.query(`ALTER ${kind} ${rows[0]!.name} SET SCHEMA ${schema}`);
	}
}
