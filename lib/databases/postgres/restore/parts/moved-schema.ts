import { randomBytes } from 'node:crypto';

import type { Client } from 'pg';

import { quoteIdentifier } from '../../identifiers';

import { LentObjects } from './lent-objects';
import type { ScriptObject } from './script-object';

/**
 * A schema of a dump that goes into one of another name. Until all is restored it has its own name: everything in it then fits,
 * functions and defaults as well. What has that name in the target steps aside meanwhile, all in the restore's transaction.
 */
export class MovedSchema {
	private afterwards: string[] = [];

	private lent: LentObjects | undefined;

	constructor(
		private readonly client: Client,
		private readonly from: string,
		private readonly into: string,
	) {}

	/**
	 * @param chosen of the dump. @param isScript where nothing tells what these need besides.
	 * @returns warnings
	 */
	async makeRoom(chosen: readonly ScriptObject[], isScript: boolean): Promise<string[]> {
		const { client, from, into } = this;
		const { rows } = await client.query<{ name: string }>(
			'SELECT nspname::text AS name FROM pg_catalog.pg_namespace',
		);
		const there = new Set(rows.map(({ name }) => name));
		const aside = `lifeboat_${randomBytes(6).toString('hex')}`;
		if (there.has(from)) await client.query(rename(from, aside));
		await client.query(there.has(into) ? rename(into, from) : `CREATE SCHEMA ${quoteIdentifier(from)}`);
		this.afterwards = [rename(from, into), ...(there.has(from) ? [rename(aside, from)] : [])];
		if (there.has(from) && isScript) {
			this.lent = new LentObjects(client, quoteIdentifier(aside), quoteIdentifier(from));
			await this.lent.lend(chosen);
		}
		if (!chosen.some(({ desc }) => /^(?:FUNCTION|PROCEDURE)$/.test(desc))) return [];
		return [
			`Functions were restored into schema ${into}: where their bodies name the schema ${from}, they still do`,
		];
	}

	/** Gives everything the name that it is to have. */
	async giveBack(): Promise<void> {
		await this.lent?.giveBack();
		for (const sql of this.afterwards) await this.client.query(sql);
	}

	/** Whether an object of the dump is the schema itself, its comment, or its privileges. */
	isItself({ desc, tag }: ScriptObject): boolean {
		return desc === 'SCHEMA' ? tag === this.from : tag === `SCHEMA ${this.from}`;
	}

	/** The schema under which what was restored is found in the end. */
	finalName(schema: string): string {
		return schema === this.from ? this.into : schema;
	}
}

function rename(from: string, to: string): string {
	return `ALTER SCHEMA ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`;
}
