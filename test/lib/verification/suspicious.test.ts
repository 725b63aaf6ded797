import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import fc from 'fast-check';

import { findSuspicions, suspicionError, type Comparable } from '../../../lib/verification/suspicious';

let ids = 0;
const backup = (day: number, size: number, rows?: Record<string, number>, name = 'shop'): Comparable => ({
	id: String((ids += 1)),
	kind: 'database',
	name,
	createdAt: new Date(Date.UTC(2026, 0, day)).toISOString(),
	content: { size, sha256: '0'.repeat(64) },
	...(rows && {
		tables: Object.entries(rows).map(([table, n]) => ({ schema: 'public', name: table, rows: n })),
	}),
});
const options = { previous: 5, maxFall: 0.3 };

describe('suspicious changes', () => {
	test('a size or a table that falls by more than the share is found, by as much or less is not', () => {
		const before = [1, 2, 3].map((day) => backup(day, 1000, { orders: 1000, items: 500 }));
		const found = (size: number, rows: Record<string, number>) =>
			findSuspicions(backup(9, size, rows), before, options).suspicions.map(({ what }) => what);
		assert.deepEqual(found(700, { orders: 700, items: 350 }), []);
		assert.deepEqual(found(699, { orders: 700, items: 350 }), ['size of the content']);
		assert.deepEqual(found(1000, { orders: 699, items: 9000 }), ['rows of public.orders']);
		assert.deepEqual(found(1000, { items: 0, orders: 1000 }), ['rows of public.items']);
		assert.deepEqual(found(1000, { orders: 1000 }), ['rows of public.items'], 'a table that is gone');
	});

	test('one odd backup among those before does not move what is usual', () => {
		const before = [1000, 1010, 5, 990, 90_000].map((size, index) => backup(index + 1, size));
		assert.deepEqual(findSuspicions(backup(9, 900), before, options).suspicions, []);
		const [only] = findSuspicions(backup(9, 100), before, options).suspicions;
		assert.deepEqual([only!.median, only!.fall.toFixed(2)], [1000, '0.90']);
	});

	test('only the newest of the same job count, and nothing later', () => {
		const others = [
			...[1, 2, 3, 4, 5].map((day) => backup(day, 100)),
			...[10, 11].map((day) => backup(day, 1_000_000, undefined, 'another')),
			...[20, 21].map((day) => backup(day, 1_000_000)),
			...[7, 8].map((day) => ({ ...backup(day, 1_000_000), kind: 'files' as const })),
		];
		const now = backup(9, 90);
		const report = findSuspicions(now, [...others, now], { ...options, previous: 3 });
		assert.deepEqual(report, { comparedWith: 3, suspicions: [] });
	});

	test('too few backups, tables of few rows and new tables prove nothing', () => {
		assert.deepEqual(findSuspicions(backup(9, 1), [backup(1, 1000)], options), {
			comparedWith: 0,
			suspicions: [],
		});
		const before = [
			backup(1, 10, { small: 99 }),
			backup(2, 10, { small: 99 }),
			backup(3, 10, { fresh: 9999 }),
		];
		assert.deepEqual(findSuspicions(backup(9, 10, { small: 0 }), before, options).suspicions, []);
		const all = { ...options, minRows: 0 };
		assert.equal(findSuspicions(backup(9, 10, { small: 0 }), before, all).suspicions.length, 1);
	});

	test('in a bundle the tables of each entry are compared with those of the same job', () => {
		const bundle = (day: number, rows: number): Comparable => ({
			...backup(day, 1000, undefined, 'all'),
			entries: [
				{ path: `shop-${day}.sql`, manifest: { ...(backup(day, 1, { orders: rows }) as object) } } as never,
			],
		});
		const before = [bundle(1, 1000), bundle(2, 1000)];
		const { suspicions } = findSuspicions(bundle(3, 10), before, options);
		assert.deepEqual(
			suspicions.map(({ what }) => what),
			['rows of shop: public.orders'],
		);
	});

	test('the error names the first and counts the rest', () => {
		const rows = Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`t${n}`, 1000]));
		const before = [backup(1, 1000, rows), backup(2, 1000, rows)];
		const report = findSuspicions(backup(3, 1, {}), before, options);
		assert.match(
			suspicionError('shop.sql', report)!.message,
			/^shop\.sql differs from the 2 backups before it: size of the content is 1, 99 % below the usual 1000; .*; and 4 more$/,
		);
		assert.equal(suspicionError('shop.sql', { comparedWith: 2, suspicions: [] }), undefined);
	});

	test('growth is never suspicious, and a larger share allowed never finds more', () => {
		const sizes = fc.array(fc.nat(10_000), { minLength: 2, maxLength: 8 });
		fc.assert(
			fc.property(sizes, fc.nat(10_000), fc.double({ min: 0, max: 1, noNaN: true }), (list, now, maxFall) => {
				const before = list.map((size, index) => backup(index + 1, size, { t: size }));
				const find = (size: number, share: number) =>
					findSuspicions(backup(20, size, { t: size }), before, { previous: 8, maxFall: share }).suspicions;
				assert.deepEqual(find(Math.max(...list), maxFall), []);
				assert.ok(find(now, maxFall).length >= find(now, Math.min(1, maxFall + 0.1)).length);
				assert.ok(find(now, maxFall).length >= find(now + 1, maxFall).length);
			}),
		);
	});
});
