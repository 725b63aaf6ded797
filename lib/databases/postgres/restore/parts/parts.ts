import { LifeboatError } from '../../../../errors';

import { relationKey, type ScriptObject } from './objects';
import { nameAt, tokensOf, type QualifiedName } from '../sql/statement';

/** Which parts of a dump to restore: what belongs to any of them. */
export interface PartsOption {
	/** All that lies in these schemas, and the schemas themselves. */
	schemas?: readonly string[];
	/** Tables, views and sequences, as `schema.name`, or `name` where only one schema has it; with all that belongs to them. */
	tables?: readonly string[];
}

/** The objects that make up the parts. */
export interface SelectedParts {
	readonly ids: ReadonlySet<number>;
	/** Those of them that need a relation which is no part: a foreign key, say. To be left out where the target lacks it. */
	readonly needing: ReadonlyMap<number, QualifiedName>;
	/** What the parts need of the rest, such as types and functions: to be made where the target lacks them. */
	readonly support: ReadonlySet<number>;
	/** The schemas in which they lie. */
	readonly schemas: ReadonlySet<string>;
	/** The schemas in which lies what they need. */
	readonly supportSchemas: ReadonlySet<string>;
	/** Tables, views and sequences among them. */
	readonly relations: readonly ScriptObject[];
}

const relationKinds = /^(?:TABLE|VIEW|MATERIALIZED VIEW|FOREIGN TABLE|SEQUENCE)$/;

/** Relations belong to no part but their own: where one is needed besides, the operator names it. */
const supportKinds =
	/^(?:TYPE|SHELL TYPE|DOMAIN|FUNCTION|PROCEDURE|AGGREGATE|EXTENSION|COLLATION|OPERATOR|OPERATOR CLASS|OPERATOR FAMILY|CAST|TEXT SEARCH \w+|SERVER|FOREIGN DATA WRAPPER|ACCESS METHOD|PROCEDURAL LANGUAGE)$/;

/** What comes with an object, and only with it. */
export const remarkKinds = /^(?:COMMENT|ACL|SECURITY LABEL)$/;

/** @throws LifeboatError `INVALID_OPTION` for a name that the dump has not, or in several schemas. */
export function selectParts(objects: readonly ScriptObject[], parts: PartsOption): SelectedParts {
	const rootOf = roots(objects);
	const schemas = new Set(parts.schemas ?? []);
	for (const schema of schemas) {
		if (
			!objects.some(
				(object) => object.schema === schema || (object.desc === 'SCHEMA' && object.tag === schema),
			)
		)
			throw unknown('schema', schema, 'Check the spelling; upper and lower case count');
	}
	const wanted = new Set((parts.tables ?? []).map((spec) => relationKey(findRelation(objects, spec))));
	withPartitions(objects, wanted);
	const isWanted = (relation: QualifiedName | undefined) =>
		relation !== undefined &&
		(wanted.has(rootOf(relation)) || (relation.schema !== undefined && schemas.has(relation.schema)));
	const isSelected = (object: ScriptObject): boolean => {
		const { desc, relation, other } = object;
		// A partition alone: its indexes are attached with it.
		if (desc === 'INDEX ATTACH') return isWanted(relation) && isWanted(other);
		return (
			isWanted(relation) ||
			(desc === 'TABLE ATTACH' && isWanted(other)) ||
			(object.schema !== undefined && schemas.has(object.schema)) ||
			isOfSchema(object, schemas)
		);
	};
	const selected = objects.filter(isSelected);
	const needing = new Map<number, QualifiedName>();
	const parents = new Map<string, QualifiedName>();
	for (const { id, desc, relation, other } of selected) {
		const needed = [other, desc === 'TABLE ATTACH' ? relation : undefined].find(
			(each) => each && !isWanted(each),
		);
		if (needed) needing.set(id, needed);
		if (needed === relation && relation && other) parents.set(relationKey(other), relation);
	}
	// The state of a trigger that a partition has from its parent.
	for (const { id, isInherited, relation } of selected) {
		const parent = isInherited && relation && parents.get(relationKey(relation));
		if (parent) needing.set(id, parent);
	}
	const ids = new Set(selected.map(({ id }) => id));
	const support = supportOf(objects, selected, ids);
	const supportSchemas = new Set(
		objects.flatMap(({ id, schema }) => (support.has(id) && schema !== undefined ? [schema] : [])),
	);
	for (const { id, desc, tag } of objects)
		if (desc === 'SCHEMA' && supportSchemas.has(tag) && !ids.has(id)) support.add(id);
	const remarks = objects.filter(
		({ id, desc, dependencies = [] }) =>
			remarkKinds.test(desc) && !ids.has(id) && dependencies.some((other) => support.has(other)),
	);
	for (const { id } of remarks) support.add(id);
	return {
		...{ ids, needing, support, supportSchemas },
		schemas: new Set(
			selected.flatMap(({ id, schema }) => (schema === undefined || needing.has(id) ? [] : [schema])),
		),
		relations: selected.filter(({ desc }) => relationKinds.test(desc)),
	};
}

/** The dump's own SCHEMA entry, and its comment and privileges. */
function isOfSchema({ desc, tag }: ScriptObject, schemas: ReadonlySet<string>): boolean {
	if (desc === 'SCHEMA') return schemas.has(tag);
	return remarkKinds.test(desc) && tag.startsWith('SCHEMA ') && schemas.has(tag.slice(7));
}

/** Finds the table that an index, a constraint's index or an owned sequence goes with; anything else stands for itself. */
export function roots(objects: readonly ScriptObject[]): (relation: QualifiedName) => string {
	const owner = new Map<string, string>();
	for (const { desc, tag, schema, relation, other } of objects) {
		if (!relation) continue;
		const own = (name: string, of: QualifiedName) => {
			const key = relationKey({ schema, name });
			if (key !== relationKey(of)) owner.set(key, relationKey(of));
		};
		if (desc === 'INDEX' || desc === 'SEQUENCE') own(tag, relation);
		else if (desc === 'SEQUENCE OWNED BY' && other) own(relation.name, other);
		else if (desc === 'CONSTRAINT') own(tag.slice(relation.name.length + 1), relation);
	}
	return (relation) => {
		let key = relationKey(relation);
		for (let step = 0; step < 10 && owner.has(key); step++) key = owner.get(key)!;
		return key;
	};
}

/** The rows of a partitioned table lie in its partitions: they come along. */
function withPartitions(objects: readonly ScriptObject[], wanted: Set<string>): void {
	for (let before = -1; before !== wanted.size;) {
		before = wanted.size;
		for (const { desc, relation, other } of objects) {
			if (desc === 'TABLE ATTACH' && relation && other && wanted.has(relationKey(relation)))
				wanted.add(relationKey(other));
		}
	}
}

function findRelation(objects: readonly ScriptObject[], spec: string): QualifiedName {
	const text = spec.trim();
	const parsed = nameAt(tokensOf(Buffer.from(text)), 0);
	const found = objects.filter(
		({ desc, schema, tag }) =>
			relationKinds.test(desc) &&
			(tag === text ||
				`${schema ?? ''}.${tag}` === text ||
				(tag === parsed?.name && (parsed.schema === undefined || parsed.schema === schema))),
	);
	const exact = found.filter(({ schema, tag }) => `${schema ?? ''}.${tag}` === text || tag === text);
	const [first, second] = exact.length > 0 ? exact : found;
	if (!first) throw unknown('table', text, 'Check the spelling; upper and lower case count');
	if (second)
		throw unknown(
			'table',
			text,
			`Several schemas have one: write ${first.schema}.${first.tag}, say`,
			'no single',
		);
	return { schema: first.schema, name: first.tag };
}

function unknown(kind: string, name: string, hint: string, no = 'no'): LifeboatError {
	return new LifeboatError('INVALID_OPTION', `The backup holds ${no} ${kind} ${name}`, { hint });
}

/** Types, functions and the like that the selected ones depend on, and what those depend on. */
function supportOf(
	objects: readonly ScriptObject[],
	selected: readonly ScriptObject[],
	ids: ReadonlySet<number>,
): Set<number> {
	const byId = new Map(objects.map((object) => [object.id, object]));
	const support = new Set<number>();
	const queue = [...selected];
	for (let object = queue.pop(); object; object = queue.pop()) {
		for (const id of object.dependencies ?? []) {
			const needed = byId.get(id);
			if (!needed || ids.has(id) || support.has(id) || !supportKinds.test(needed.desc)) continue;
			support.add(id);
			queue.push(needed);
		}
	}
	return support;
}
