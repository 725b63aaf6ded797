import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';

import { formatList, parseList } from '../../../../../lib/databases/postgres/archive/list';
import {
	entriesBySection,
	restoreConstraints,
	restorePass,
} from '../../../../../lib/databases/postgres/archive/sections';
import { selectEntries } from '../../../../../lib/databases/postgres/archive/selection';
import type {
	ArchiveToc,
	EntrySelection,
	TocEntry,
} from '../../../../../lib/databases/postgres/archive/types';

import { decode, run, startSample, type Sample } from './fixture';

describe('choosing from an archive', { timeout: 60_000 }, () => {
	let sample: Sample;
	let path: string;
	let toc: ArchiveToc;
	before(async () => {
		sample = await startSample();
		path = await sample.archive('archive');
		({ toc } = await decode(path));
	});
	after(() => sample.stop());

	const list = async (...args: string[]) => run('pg_restore', ['-l', ...args, path]);
	const idsOf = (selection: EntrySelection) => selectEntries(toc, selection).map(({ entry }) => entry.dumpId);
	const entry = (desc: string, tag: string): TocEntry =>
		toc.entries.find((candidate) => candidate.desc === desc && candidate.tag === tag)!;

	test('the list reads as that of pg_restore', async () => {
		const expected = (await list())
			.replace(/(created at .*) UTC$/m, '$1')
			.replace(/Compression: -?\d+/, 'Compression: gzip');
		assert.equal(formatList(toc), expected);
		assert.deepEqual(parseList(expected), idsOf({}));
	});

	const cases: [EntrySelection, string[]][] = [
		[{}, []],
		[{ tables: ['orders'] }, ['-t', 'orders']],
		[
			{ tables: ['items', 'big_orders', 'totals', 'counter'] },
			['-t', 'items', '-t', 'big_orders', '-t', 'totals', '-t', 'counter'],
		],
		[{ tables: ['It\'s "quoted" ü'] }, ['-t', 'It\'s "quoted" ü']],
		[{ tables: [] }, []],
		[{ schemas: ['Größe 大'] }, ['-n', 'Größe 大']],
		[{ schemas: ['public'], tables: ['items'] }, ['-n', 'public', '-t', 'items']],
		[{ excludeSchemas: ['public'] }, ['-N', 'public']],
		[
			{ indexes: ['orders_note'], triggers: ['orders touched'] },
			['-I', 'orders_note', '-T', 'orders touched'],
		],
		[{ functions: ['add_up(integer, integer)'] }, ['-P', 'add_up(integer, integer)']],
		[{ schemaOnly: true }, ['-s']],
		[{ dataOnly: true }, ['-a']],
		[{ noPrivileges: true }, ['-x']],
		[{ noComments: true, noPublications: true }, ['--no-comments', '--no-publications']],
		[{ sections: ['pre-data'] }, ['--section=pre-data']],
		[{ sections: ['data', 'post-data'] }, ['--section=data', '--section=post-data']],
		[{ dataOnly: true, tables: ['orders', 'items'] }, ['-a', '-t', 'orders', '-t', 'items']],
		[{ createDatabase: true }, ['-C']],
	];
	for (const [selection, args] of cases) {
		test(`selects what pg_restore does with ${args.join(' ') || 'no option'}`, async () => {
			assert.deepEqual(idsOf(selection), parseList(await list(...args)));
		});
	}

	test('takes an edited list in its order', async () => {
		const lines = (await list()).split('\n').filter((line) => !line.startsWith(';') && line !== '');
		const edited = `; chosen by hand\n\n${[...lines.slice(5, 9).toReversed(), lines[2], lines[6]].join('\n')}\n`;
		const file = sample.path('list');
		await writeFile(file, edited);
		assert.deepEqual(idsOf({ list: edited }), parseList(await list('-L', file)));
		assert.equal(idsOf({ list: edited }).length, 5);
		assert.deepEqual(idsOf({ list: edited, dataOnly: true }), parseList(await list('-a', '-L', file)));
	});

	test('refuses names and numbers that are not there', () => {
		for (const [selection, message] of [
			[{ tables: ['Orders'] }, /no table Orders within/],
			[{ schemas: ['nowhere'] }, /no schema nowhere/],
			[{ schemas: ['Größe 大'], tables: ['orders'] }, /no table orders within/],
			[{ list: '999999;' }, /entry 999999, which/],
			[{ list: '; fine\norders\n' }, /Line 2 of the list/],
			[{ list: '0; zero' }, /Line 1 of the list/],
		] as [EntrySelection, RegExp][]) {
			assert.throws(() => selectEntries(toc, selection), { code: 'INVALID_OPTION', message });
		}
	});

	test('tells what is schema and what is data', () => {
		const partOf = (wanted: TocEntry, selection: EntrySelection = {}) =>
			selectEntries(toc, selection).find((selected) => selected.entry === wanted);
		const both = (desc: string, tag: string) => {
			const { schema, data } = partOf(entry(desc, tag))!;
			return [schema, data];
		};
		assert.deepEqual(both('TABLE', 'orders'), [true, false]);
		assert.deepEqual(both('TABLE DATA', 'orders'), [false, true]);
		assert.deepEqual(both('SEQUENCE SET', 'counter'), [false, true]);
		assert.deepEqual(both('BLOB', '70000'), [false, true]);
		assert.deepEqual(both('ACL', 'LARGE OBJECT 70000'), [false, true]);
		assert.deepEqual(both('ACL', 'TABLE items'), [true, false]);
		assert.deepEqual(both('MATERIALIZED VIEW DATA', 'totals'), [true, false]);
		assert.equal(partOf(entry('TABLE', 'orders'), { dataOnly: true }), undefined);
	});

	test('sections, passes and the order that parallel work must keep', () => {
		const sections = entriesBySection(toc);
		const count = Object.values(sections).reduce((sum, entries) => sum + entries.length, 0);
		assert.equal(count, toc.entries.length - 3);
		assert.ok(sections['pre-data'].includes(entry('TABLE', 'orders')));
		assert.ok(sections.data.includes(entry('TABLE DATA', 'orders')));
		assert.ok(sections['post-data'].includes(entry('INDEX', 'orders_note')));
		assert.ok(sections['pre-data'].includes(entry('COMMENT', 'TABLE items')));
		assert.equal(restorePass(entry('ACL', 'TABLE items')), 'acl');
		assert.equal(restorePass(entry('MATERIALIZED VIEW DATA', 'totals')), 'post-acl');
		assert.equal(restorePass(entry('TABLE', 'orders')), 'main');

		const constraints = restoreConstraints(toc);
		const data = entry('TABLE DATA', 'orders').dumpId;
		assert.deepEqual(constraints.get(entry('INDEX', 'orders_note').dumpId), { after: [data], locks: [] });
		const primaryKey = entry('CONSTRAINT', 'orders orders_pkey');
		assert.deepEqual(constraints.get(primaryKey.dumpId), { after: [data], locks: [data] });
		const foreignKey = constraints.get(entry('FK CONSTRAINT', 'items items_order_id_fkey').dumpId)!;
		const items = entry('TABLE DATA', 'items').dumpId;
		assert.deepEqual(foreignKey.locks.toSorted(), [data, items].toSorted());
		assert.ok(foreignKey.after.includes(primaryKey.dumpId));
		// A table's own data waits for the table, not for itself.
		assert.deepEqual(constraints.get(data)?.after, [entry('TABLE', 'orders').dumpId]);
	});
});
