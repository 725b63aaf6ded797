import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import type { LifeboatError } from '../../../lib/errors';
import { compareKeys } from '../../../lib/storage/keys';
import type { PutOptions, Storage, UnfinishedUpload } from '../../../lib/storage/storage';
import { systemErrorCode } from '../../system-error-code';

/** An empty storage of the kind to be tested. */
export interface StorageUnderTest {
	storage: Storage;
	/** What lies there besides objects: temporary files, unfinished uploads. */
	leftovers(): Promise<string[]>;
	/** Starts to store an endless object in another process, and kills that once something of it is stored. */
	crash(key: string): Promise<void>;
	/** Removes it with all that is in it. */
	cleanup(): Promise<void>;
}

const MiB = 1024 * 1024;

/** More than a driver sends at once. */
const large = 20 * MiB + 12_345;

/** Keys that break what isn't careful with URLs, XML, shells, and bytes. */
export const oddKeys = [
	'with space.sql',
	' leading and trailing ',
	'plus+hash#question?percent%25&amp;=;,$@!',
	'quotes\'"`<tag>\\back|slash*',
	'Größe/naïve/日本語/😀.tar.zst',
	'e\u0301 and \u00e9',
	'deep/'.repeat(50) + 'end',
	'.hidden/..dots/...',
	`${'long-part-of-a-name/'.repeat(44)}${'x'.repeat(20)}`,
];

/**
 * Registers the tests that every kind of storage must pass.
 *
 * @param many objects to list; more than one page of any service.
 * @param refuses which of the odd keys the service can't take: they are refused there.
 */
export function storageConformance(
	name: string,
	make: () => Promise<StorageUnderTest>,
	{ many = 2500, refuses = () => false }: { many?: number; refuses?: (key: string) => boolean } = {},
): void {
	/** One test with a storage of its own. */
	const check = (what: string, run: (under: StorageUnderTest) => Promise<void>) =>
		test(what, async () => {
			const under = await make();
			try {
				await run(under);
				assert.deepEqual(await under.leftovers(), []);
			} finally {
				await under.storage.close();
				await under.cleanup();
			}
		});

	describe(`${name} as a storage`, () => {
		check('gives back what it was given, with and without a known size', async ({ storage }) => {
			for (const size of [0, 1, 65_537, 8 * MiB - 1, 8 * MiB, 8 * MiB + 1, large]) {
				const content = randomBytes(size);
				for (const known of [true, false]) {
					const key = `objects/${size}-${known}`;
					const put = await storage.put(key, inChunks(content, 100_003), known ? { size } : {});
					assert.deepEqual([put.key, put.size], [key, size]);
					const found = await storage.stat(key);
					assert.deepEqual([found?.key, found?.size], [key, size]);
					assert.equal(put.version, found?.version);
					assert.ok(Math.abs(found!.modifiedAt.getTime() - Date.now()) < 60_000);
					assert.ok(content.equals(await buffer(await storage.get(key))), key);
				}
			}
		});

		check('takes odd keys', async ({ storage }) => {
			assert.equal(Buffer.byteLength(oddKeys.at(-1)!), 900);
			const keys = oddKeys.filter((key) => !refuses(key));
			for (const key of oddKeys.filter(refuses)) {
				await assert.rejects(storage.put(key, Readable.from([Buffer.from(key)])), code('INVALID_KEY'));
			}
			for (const key of keys) {
				await storage.put(key, Readable.from([Buffer.from(key)]));
				assert.equal((await storage.stat(key))?.key, key);
				assert.equal(String(await buffer(await storage.get(key))), key);
			}
			assert.deepEqual(await keysOf(storage, ''), keys.toSorted(compareKeys));
			for (const key of keys) {
				assert.deepEqual(await keysOf(storage, key), [key]);
				await storage.delete(key);
				assert.equal(await storage.stat(key), undefined);
			}
			assert.deepEqual(await keysOf(storage, ''), []);
		});

		check('refuses keys that are not safe everywhere', async ({ storage }) => {
			const unsafe = ['', '/etc/passwd', '../up', 'a/../../b', 'a/./b', 'a//b', 'a/', 'nul\0', 'line\nbreak'];
			unsafe.push('x'.repeat(1025), 'lone \ud800 surrogate', 'a/.lifeboat-mine');
			for (const key of unsafe) {
				const source = Readable.from([Buffer.from('x')]);
				await assert.rejects(storage.put(key, source), code('INVALID_KEY'), key);
				assert.ok(source.destroyed);
				await assert.rejects(storage.get(key), code('INVALID_KEY'));
				await assert.rejects(storage.stat(key), code('INVALID_KEY'));
				await assert.rejects(storage.delete(key), code('INVALID_KEY'));
			}
		});

		check(`lists ${many} objects, all of them, in the order of their bytes`, async ({ storage }) => {
			const keys = Array.from({ length: many - 3 }, (_, i) => `many/${i % 7}/object ${i}`);
			keys.push('many-before', 'many.before', 'many0after');
			await inParallel(16, keys, (key) =>
				storage.put(key, Readable.from([Buffer.from(key)]), { size: key.length, ifExists: 'replace' }),
			);
			assert.deepEqual(await keysOf(storage, ''), keys.toSorted(compareKeys));
			const within = keys.filter((key) => key.startsWith('many/3/object 1')).toSorted(compareKeys);
			assert.deepEqual(await keysOf(storage, 'many/3/object 1'), within);
			assert.deepEqual(await keysOf(storage, 'other/'), []);
			for await (const { key, size } of storage.list('many')) {
				assert.deepEqual([key, size], ['many-before', 11]);
				break;
			}
		});

		check('orders keys beyond U+FFFF, and folders among files, by their bytes', async ({ storage }) => {
			const keys = ['a-b', 'a.b', 'a/b', 'a/b.c', 'a0b', 'z\uFFFD', 'z\u{1F600}', 'z\u{1F600}/x'].slice(0, 7);
			for (const key of keys.toReversed()) await storage.put(key, Readable.from([Buffer.from('x')]));
			assert.deepEqual(await keysOf(storage, ''), keys);
			assert.deepEqual(await keysOf(storage, 'a/'), ['a/b', 'a/b.c']);
		});

		check('reads ranges', async ({ storage }) => {
			const content = randomBytes(300_000);
			await storage.put('ranged', inChunks(content, 1000));
			await storage.put('empty', Readable.from([]));
			const cases: Array<[number, number | undefined]> = [
				...([
					[0, 0],
					[299_999, undefined],
					[0, undefined],
				] as Array<[number, number | undefined]>),
				...([
					[10, 20],
					[100_000, 250_000],
					[299_990, 500_000],
				] as Array<[number, number]>),
			];
			for (const [start, end] of cases) {
				const part = await buffer(
					await storage.get('ranged', { range: { start, ...(end !== undefined && { end }) } }),
				);
				assert.ok(
					content.subarray(start, end === undefined ? undefined : end + 1).equals(part),
					`${start}-${end}`,
				);
			}
			for (const range of [{ start: 300_000 }, { start: 400_000, end: 500_000 }]) {
				await assert.rejects(storage.get('ranged', { range }), code('INVALID_RANGE'));
			}
			await assert.rejects(storage.get('empty', { range: { start: 0 } }), code('INVALID_RANGE'));
		});

		check('says what is missing, and deletes it without complaint', async ({ storage }) => {
			assert.equal(await storage.stat('folder/missing'), undefined);
			await assert.rejects(storage.get('folder/missing'), (error: LifeboatError) => {
				assert.equal(error.code, 'NOT_FOUND');
				assert.match(error.message, /folder\/missing/);
				assert.ok(error.message.includes(storage.description));
				assert.ok(error.hint);
				return true;
			});
			await storage.delete('folder/missing');
			await storage.put('folder/there', Readable.from([Buffer.from('x')]));
			await storage.delete('folder/there');
			await storage.delete('folder/there');
			await assert.rejects(storage.get('folder/there'), code('NOT_FOUND'));
			// A part of a key's path is no object.
			await storage.put('folder/deeper/there', Readable.from([Buffer.from('x')]));
			assert.equal(await storage.stat('folder/deeper'), undefined);
			await assert.rejects(storage.get('folder/deeper'), code('NOT_FOUND'));
			await storage.delete('folder/deeper');
			assert.deepEqual(await keysOf(storage, ''), ['folder/deeper/there']);
		});

		for (const size of [1000, large]) {
			check(`keeps or replaces an existing object as asked (${size} bytes)`, async ({ storage }) => {
				const [first, second] = [randomBytes(size), randomBytes(size)];
				const { version } = await storage.put('key', inChunks(first), { size });
				const refused = inChunks(second);
				await assert.rejects(storage.put('key', refused, { size, ifExists: 'fail' }), code('ALREADY_EXISTS'));
				await assert.rejects(storage.put('key', inChunks(second)), code('ALREADY_EXISTS'));
				assert.ok(refused.destroyed);
				assert.ok(first.equals(await buffer(await storage.get('key'))));
				const replaced = await storage.put('key', inChunks(second), { ifExists: 'replace' });
				assert.notEqual(replaced.version, version);
				assert.ok(second.equals(await buffer(await storage.get('key'))));
			});

			check(`lets exactly one of several win a key (${size} bytes)`, async ({ storage }) => {
				const contents = Array.from({ length: size < MiB ? 10 : 4 }, () => randomBytes(size));
				const results = await Promise.allSettled(
					contents.map((content) => storage.put('folder/key', inChunks(content), { size })),
				);
				const winners = contents.filter((_, i) => results[i]!.status === 'fulfilled');
				assert.equal(winners.length, 1);
				for (const result of results) {
					if (result.status === 'rejected')
						assert.equal((result.reason as LifeboatError).code, 'ALREADY_EXISTS');
				}
				assert.ok(winners[0]!.equals(await buffer(await storage.get('folder/key'))));
			});

			for (const [where, at] of [
				['start', 0],
				['middle', size / 2],
				['end', size],
			] as const) {
				check(
					`leaves nothing when the source fails at the ${where} of ${size} bytes`,
					async ({ storage }) => {
						const broken = new Error('the dump was cut');
						const kept = randomBytes(10);
						await storage.put('kept', Readable.from([kept]));
						for (const options of [{}, { size }] satisfies PutOptions[]) {
							await assert.rejects(
								storage.put('new', failing(at, broken), options),
								(error) => error === broken,
							);
							const replacing = storage.put('kept', failing(at, broken), { ...options, ifExists: 'replace' });
							await assert.rejects(replacing, (error) => error === broken);
						}
						assert.deepEqual(await keysOf(storage, ''), ['kept']);
						assert.ok(kept.equals(await buffer(await storage.get('kept'))));
					},
				);
			}

			check(`leaves nothing when it is aborted, with ${size} bytes on their way`, async ({ storage }) => {
				const abort = new AbortController();
				const source = new PassThrough();
				const put = storage.put('aborted', source, { signal: abort.signal });
				// A rejection before the await below is not unhandled.
				put.catch(() => {});
				if (!source.write(randomBytes(size))) await once(source, 'drain');
				assert.equal(await storage.stat('aborted'), undefined);
				assert.deepEqual(await keysOf(storage, ''), []);
				abort.abort();
				await assert.rejects(put, { name: 'AbortError' });
				assert.ok(source.destroyed);
				assert.equal(await storage.stat('aborted'), undefined);
				const late = storage.put('aborted', inChunks(randomBytes(10)), { signal: abort.signal });
				await assert.rejects(late, { name: 'AbortError' });
				assert.deepEqual(await keysOf(storage, ''), []);
			});

			check(`refuses a source that is not as long as it was said (${size} bytes)`, async ({ storage }) => {
				for (const said of [size - 1, size + 1, size * 2]) {
					const put = storage.put('key', inChunks(randomBytes(size)), { size: said });
					await assert.rejects(put, code('INCOMPLETE'));
				}
				assert.equal(await storage.stat('key'), undefined);
			});
		}

		check('shows an object only once it is whole', async ({ storage }) => {
			const source = new PassThrough();
			const put = storage.put('slow', source);
			for (let sent = 0; sent < large; sent += MiB) {
				if (!source.write(randomBytes(MiB))) await once(source, 'drain');
			}
			assert.equal(await storage.stat('slow'), undefined);
			assert.deepEqual(await keysOf(storage, ''), []);
			await assert.rejects(storage.get('slow'), code('NOT_FOUND'));
			source.end();
			await put;
			assert.deepEqual(await keysOf(storage, ''), ['slow']);
		});

		check(
			'tells, where it can, by what it keeps whether the content was written again',
			async ({ storage }) => {
				if (!storage.keptChecksums) return;
				const [first, second] = [randomBytes(large), randomBytes(large)];
				for (const size of [1000, large]) {
					await storage.put('key', inChunks(first.subarray(0, size)), { ifExists: 'replace' });
					const kept = await storage.keptChecksums('key');
					assert.ok(kept?.version);
					assert.equal(kept.version, (await storage.stat('key'))?.version);
					assert.deepEqual(await storage.keptChecksums('key'), kept);
					await storage.put('key', inChunks(second.subarray(0, size)), { ifExists: 'replace' });
					assert.notEqual((await storage.keptChecksums('key'))?.version, kept.version);
				}
				assert.equal(await storage.keptChecksums('folder/missing'), undefined);
			},
		);

		check('ends a download that is aborted', async ({ storage }) => {
			await storage.put('object', inChunks(randomBytes(large)));
			const abort = new AbortController();
			const stream = await storage.get('object', { signal: abort.signal });
			const reading = (async () => {
				for await (const chunk of stream) {
					assert.ok(chunk);
					abort.abort();
				}
			})();
			await assert.rejects(reading, { name: 'AbortError' });
			assert.ok(stream.destroyed);
			await assert.rejects(storage.get('object', { signal: abort.signal }), { name: 'AbortError' });
		});

		check('removes what a killed process left behind, once it is old enough', async (under) => {
			const { storage } = under;
			await storage.put('nightly/whole', inChunks(randomBytes(10)));
			await under.crash('nightly/killed');
			assert.equal((await under.leftovers()).length, 1);
			assert.deepEqual(await keysOf(storage, ''), ['nightly/whole']);
			const found = await unfinishedIn(storage, 'nightly/');
			assert.equal(found.length, 1);
			assert.match(found[0]!.key, /^nightly\//);
			assert.equal(found[0]!.ours, true);
			assert.ok(Math.abs(found[0]!.startedAt.getTime() - Date.now()) < 60_000);
			assert.deepEqual(await unfinishedIn(storage, 'weekly/'), []);
			const hourAgo = new Date(Date.now() - 3_600_000);
			assert.equal(await storage.removeUnfinished('nightly/', hourAgo), 0);
			const soon = new Date(Date.now() + 3_600_000);
			assert.equal(await storage.removeUnfinished('weekly/', soon), 0);
			assert.equal((await under.leftovers()).length, 1);
			assert.equal(await storage.removeUnfinished('nightly/', soon), 1);
			assert.deepEqual(await unfinishedIn(storage, ''), []);
			assert.deepEqual(await keysOf(storage, ''), ['nightly/whole']);
			await storage.put('nightly/killed', inChunks(randomBytes(10)));
		});
	});
}

async function unfinishedIn(storage: Storage, prefix: string): Promise<UnfinishedUpload[]> {
	const found: UnfinishedUpload[] = [];
	for await (const upload of storage.unfinished(prefix)) found.push(upload);
	return found;
}

/** What `assert.rejects` takes to expect a LifeboatError with a code, and with a hint. */
export function code(expected: string): (error: LifeboatError) => boolean {
	return (error) => {
		assert.equal(error.name, 'LifeboatError', String(error));
		assert.equal(error.code, expected, error.message);
		assert.ok(error.hint);
		assert.doesNotMatch(error.message, /undefined|UnknownError/);
		assert.doesNotMatch(error.message, systemErrorCode);
		return true;
	};
}

export async function keysOf(storage: Storage, prefix: string): Promise<string[]> {
	const keys: string[] = [];
	for await (const { key } of storage.list(prefix)) keys.push(key);
	return keys;
}

/** A stream of a buffer in pieces. */
export function inChunks(content: Buffer, size = 64 * 1024): Readable {
	return Readable.from(
		(function* () {
			for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
		})(),
		{ objectMode: false },
	);
}

/** A stream that gives so many bytes and then fails, instead of ending. */
function failing(bytes: number, error: Error): Readable {
	return Readable.from(
		(async function* () {
			for (let left = bytes; left > 0; left -= MiB) yield randomBytes(Math.min(left, MiB));
			await sleep(5);
			throw error;
		})(),
		{ objectMode: false },
	);
}

/** Runs something for each item, so many at once. */
export async function inParallel<Item>(
	width: number,
	items: Iterable<Item>,
	run: (item: Item) => Promise<unknown>,
): Promise<void> {
	const queue = items[Symbol.iterator]();
	const worker = async () => {
		for (let next = queue.next(); !next.done; next = queue.next()) await run(next.value);
	};
	await Promise.all(Array.from({ length: width }, worker));
}
