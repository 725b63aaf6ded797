import { LifeboatError } from '../../../errors';

import { describeEntry } from './format';
import type { ArchiveToc, TocEntry } from './types';

/** OID of the catalog pg_largeobject_metadata. */
const LARGE_OBJECT_CATALOG = 2613;

/** The large objects of a BLOB METADATA entry: their OIDs, one a line. */
export function largeObjectIds(entry: TocEntry): number[] {
	return (entry.defn ?? '')
		.split('\n')
		.filter((line) => line !== '')
		.map((line) => {
			const oid = Number(line);
			if (/^\d{1,10}$/.test(line) && oid > 0 && oid <= 0xffffffff) return oid;
			throw new LifeboatError(
				'ARCHIVE_DAMAGED',
				`${describeEntry(entry)} of the PostgreSQL archive lists something that is no large object`,
				{ hint: 'Do not use this copy. Take the same backup from another destination, or an older one' },
			);
		});
}

/**
 * The same TOC in the form that it had before PostgreSQL 17: an entry BLOB for each large object, whose `defn` is SQL that
 * creates it, instead of BLOB METADATA entries with a list of OIDs for up to 1000 at a time; and an ACL for each. Older versions
 * of pg_restore know no other form. Entries that are not concerned are the same objects as before.
 */
export function separateLargeObjects(toc: ArchiveToc): ArchiveToc {
	const groups = toc.entries.filter((entry) => entry.desc === 'BLOB METADATA');
	if (groups.length === 0) return toc;
	let lastId = toc.entries.reduce((highest, entry) => Math.max(highest, entry.dumpId), 0);
	const members = new Map<number, { oid: number; dumpId: number }[]>();
	for (const group of groups) {
		const oids = largeObjectIds(group);
		// The first keeps the number of the group.
		members.set(
			group.dumpId,
			oids.map((oid, i) => ({ oid, dumpId: i === 0 ? group.dumpId : ++lastId })),
		);
	}
	const repoint = (entry: TocEntry): TocEntry => {
		if (!entry.dependencies.some((id) => members.has(id))) return entry;
		const dependencies = entry.dependencies.flatMap(
			(id) => members.get(id)?.map((member) => member.dumpId) ?? [id],
		);
		return { ...entry, dependencies };
	};
	const created = groups.flatMap((group) =>
		members.get(group.dumpId)!.map((member) => createEntry(group, member)),
	);
	const convert = (entry: TocEntry): TocEntry[] => {
		if (members.has(entry.dumpId)) return [];
		const group = entry.dependencies.map((id) => members.get(id)).find((found) => found !== undefined);
		if (group && entry.desc === 'ACL' && entry.tag.startsWith('LARGE OBJECTS ')) {
			return group.map((member, i) => aclEntry(entry, member, i === 0 ? entry.dumpId : ++lastId));
		}
		return [repoint(entry)];
	};
	// BLOB METADATA counts as data, BLOB as pre-data: the sections stay in order.
	const start = toc.entries.findIndex(
		({ section, dumpId }) => section === 'data' || section === 'post-data' || members.has(dumpId),
	);
	const [before, after] = [toc.entries.slice(0, start), toc.entries.slice(start)];
	return { ...toc, entries: [...before.flatMap(convert), ...created, ...after.flatMap(convert)] };
}

/** `SELECT pg_catalog.lo_create` as pg_dump 9.0 to 16 writes it. */
function createEntry(group: TocEntry, { oid, dumpId }: { oid: number; dumpId: number }): TocEntry {
	return {
		...group,
		dumpId,
		catalogId: { tableOid: LARGE_OBJECT_CATALOG, oid },
		...{ tag: String(oid), desc: 'BLOB', section: 'pre-data' },
		defn: `SELECT pg_catalog.lo_create('${oid}');\n`,
		dropStmt: `SELECT pg_catalog.lo_unlink('${oid}');\n`,
	};
}

/** The group's GRANT and REVOKE commands name its first object; a role's name in double quotes may hold anything. */
function aclEntry(acl: TocEntry, member: { oid: number; dumpId: number }, dumpId: number): TocEntry {
	const defn = (acl.defn ?? '').replaceAll(/"(?:[^"]|"")*"|\bLARGE OBJECT \d+/g, (match) =>
		match.startsWith('"') ? match : `LARGE OBJECT ${member.oid}`,
	);
	return { ...acl, dumpId, tag: `LARGE OBJECT ${member.oid}`, defn, dependencies: [member.dumpId] };
}
