import type { Client } from 'pg';

import type { QualifiedName } from '../sql/statement';

import { relationKey, type ScriptObject } from './objects';
import { roots, type SelectedParts } from './parts';

/** What joins two objects: partitions to their table, their indexes to its indexes, tables and schemas to publications. */
export class Attachments {
	/** Keys of the relations of the target before the restore. */
	existing: ReadonlySet<string> = new Set();

	/** Publications of the target, and whether they are for all tables anyway. */
	private readonly publications = new Map<string, boolean>();

	private readonly rootOf: (relation: QualifiedName) => string;

	/** Keys of the tables that partitions of the dump belong to, by those of the partitions. */
	private readonly parents: ReadonlyMap<string, string>;

	/** @param selected undefined for all of the dump. */
	constructor(
		private readonly objects: readonly ScriptObject[],
		private readonly selected: SelectedParts | undefined,
		private readonly merges: boolean,
	) {
		this.rootOf = roots(objects);
		this.parents = new Map(
			objects.flatMap(({ desc, relation, other }) =>
				desc === 'TABLE ATTACH' && relation && other ? [[relationKey(other), relationKey(relation)]] : [],
			),
		);
	}

	async readPublications(client: Client): Promise<void> {
		const { rows } = await client.query<{ name: string; all: string }>(
			`SELECT pubname::text AS name, puballtables::text AS all FROM pg_catalog.pg_publication`,
		);
		for (const { name, all } of rows) this.publications.set(name, all === 'true');
	}

	/** Selected memberships of publications that are neither in the target nor restored. */
	withoutPublication(): ScriptObject[] {
		const { selected } = this;
		if (!selected) return [];
		return this.objects.filter(
			({ id, publication }) =>
				publication !== undefined && selected.ids.has(id) && !this.publications.has(publication),
		);
	}

	/** @returns undefined for what joins nothing, or joins it as everything else is restored. */
	decide({ desc, relation, other, publication }: ScriptObject): 'run' | 'skip' | 'attempt' | undefined {
		if (publication !== undefined) {
			const isForAll = this.publications.get(publication);
			if (isForAll === undefined) return this.merges ? 'attempt' : 'run';
			return isForAll || this.merges ? 'skip' : 'attempt';
		}
		if (!this.merges || !relation || !other) return undefined;
		if (desc === 'TABLE ATTACH') return this.existing.has(relationKey(other)) ? 'skip' : 'run';
		// A partition that joins a table which was there brings its indexes along.
		if (desc === 'INDEX ATTACH')
			return [relation, other].some((index) => this.existing.has(this.rootOf(index))) ? 'skip' : 'run';
		return undefined;
	}

	/** Whether this joins a partition to a table that is there already, or sets what a partition then has from that table. */
	comesLast({ desc, relation, isInherited }: ScriptObject): boolean {
		if (!relation) return false;
		if (desc === 'TABLE ATTACH') return this.existing.has(relationKey(relation));
		if (isInherited !== true) return false;
		const parent = this.parents.get(relationKey(relation));
		return parent !== undefined && this.existing.has(parent);
	}
}
