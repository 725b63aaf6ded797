import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { deflateSync } from 'node:zlib';

import { LifeboatError } from '../../../../../lib/errors';
import { readArchive } from '../../../../../lib/databases/postgres/archive/reader';
import { Encoder } from '../../../../../lib/databases/postgres/archive/toc-writer';
import { verifyArchive } from '../../../../../lib/databases/postgres/archive/verify';
import { writeArchive } from '../../../../../lib/databases/postgres/archive/writer';

import { dataOf, decode, pieces, startSample, type Decoded, type Sample } from './fixture';

const smallSql = String.raw`
CREATE TABLE orders (id int PRIMARY KEY, note text);
INSERT INTO orders SELECT g, 'note ' || g FROM generate_series(1, 40) g;
CREATE TABLE no_rows (a int);
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
SELECT lo_from_bytea(70000, 'abc'), lo_from_bytea(70001, 'def');
`;

/** The pieces of an uncompressed archive that the format leaves to the user: bytes of rows and of large objects. */
function contentBytes(bytes: Buffer, dataStart: number): Set<number> {
	const free = new Set<number>();
	let at = dataStart;
	const int = () => {
		const value = bytes.readUInt32LE(at + 1);
		at += 5;
		return value;
	};
	const chunks = () => {
		for (let length = int(); length > 0; length = int()) {
			for (let i = 0; i < length; i++) free.add(at + i);
			at += length;
		}
	};
	while (at < bytes.length) {
		const type = bytes[at++];
		int();
		if (type === 1) chunks();
		else while (int() !== 0) chunks();
	}
	return free;
}

describe('damaged archives', { timeout: 120_000 }, () => {
	let sample: Sample;
	let archives: { name: string; bytes: Buffer; decoded: Decoded; dataStart: number }[];

	before(async () => {
		sample = await startSample(smallSql);
		const all: [string, Buffer][] = [];
		for (const level of ['0', '6']) {
			const bytes = await readFile(await sample.archive(`level-${level}`, `-Z${level}`, '--no-sync'));
			all.push([`pg_dump -Z${level}`, bytes]);
		}
		for (const [compression, version] of [
			['none', 16],
			['zstd', 15],
		] as const) {
			const archive = await readArchive(pieces(all[0]![1]));
			const stream = writeArchive(archive.toc, dataOf(archive), { compression, version });
			all.push([`own ${compression} 1.${version}`, Buffer.concat((await stream.toArray()) as Buffer[])]);
		}
		archives = await Promise.all(
			all.map(async ([name, bytes]) => {
				const { offsets } = await verifyArchive(pieces(bytes));
				return {
					name,
					bytes,
					decoded: await decode(pieces(bytes)),
					dataStart: Math.min(...offsets.values()),
				};
			}),
		);
	});
	after(() => sample.stop());

	/** Undefined where the archive was taken. */
	const refusal = async (bytes: Buffer): Promise<LifeboatError | undefined> => {
		try {
			await verifyArchive(pieces(bytes));
			return undefined;
		} catch (error) {
			assert.ok(error instanceof LifeboatError, String(error));
			return error;
		}
	};

	test('an archive that was cut off anywhere is refused', async () => {
		for (const { name, bytes } of archives) {
			assert.equal(await refusal(bytes), undefined);
			for (let length = 0; length < bytes.length; length++) {
				const error = await refusal(bytes.subarray(0, length));
				assert.equal(error?.code, 'ARCHIVE_DAMAGED', `${name} cut at ${length}`);
				assert.ok(error?.hint);
			}
		}
	});

	test('an archive that goes on after its end is refused', async () => {
		for (const { name, bytes } of archives) {
			for (const tail of [[0], [1], [3], [...bytes.subarray(-20)], Array<number>(512).fill(0)]) {
				const error = await refusal(Buffer.concat([bytes, Buffer.from(tail)]));
				assert.equal(error?.code, 'ARCHIVE_DAMAGED', `${name} with ${tail.length} bytes more`);
			}
		}
	});

	test('blocks that are missing, doubled or in the wrong place are refused', async () => {
		const { bytes, dataStart } = archives.find(({ name }) => name === 'own none 1.16')!;
		const blocks: Buffer[] = [];
		const archive = await readArchive(pieces(bytes));
		let previous = dataStart;
		for await (const { offset } of archive.blocks()) {
			if (offset > previous) blocks.push(bytes.subarray(previous, offset));
			previous = offset;
		}
		blocks.push(bytes.subarray(previous));
		assert.equal(blocks.length, 4);
		const withBlocks = (...wanted: Buffer[]) => Buffer.concat([bytes.subarray(0, dataStart), ...wanted]);
		assert.equal(await refusal(withBlocks(...blocks)), undefined);
		// Without offsets the format allows any order.
		assert.equal(await refusal(withBlocks(...blocks.toReversed())), undefined);
		for (let i = 0; i < blocks.length; i++) {
			const missing = await refusal(withBlocks(...blocks.toSpliced(i, 1)));
			assert.match(missing?.message ?? '', /it ends before the data of/);
			const doubled = await refusal(withBlocks(...blocks, blocks[i]!));
			assert.match(doubled?.message ?? '', /where none belongs/);
		}
		const fromFile = archives.find(({ name }) => name === 'pg_dump -Z0')!;
		const moved = await refusal(
			Buffer.concat([fromFile.bytes.subarray(0, fromFile.dataStart), ...blocks.toReversed()]),
		);
		assert.match(moved?.message ?? '', /should start at byte/);
	});

	test('a flipped bit is refused, or lies where no format could tell and changes only that', async () => {
		// A generator with a fixed seed: the same flips each time, spread over all bits.
		let seed = 20_261_121;
		const random = (limit: number) => {
			seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
			return Math.floor((seed / 2 ** 32) * limit);
		};
		for (const { name, bytes, decoded, dataStart } of archives) {
			const isPlain = decoded.toc.compression === 'none';
			const free = isPlain ? contentBytes(bytes, dataStart) : new Set<number>();
			let [refused, inContent, inToc] = [0, 0, 0];
			for (let i = 0; i < 900; i++) {
				// Two thirds of the flips hit the data, wherever it starts.
				const at = i % 3 === 0 ? random(dataStart) : dataStart + random(bytes.length - dataStart);
				const flipped = Buffer.from(bytes);
				flipped[at]! ^= 1 << random(8);
				const error = await refusal(flipped);
				if (error) {
					assert.match(error.code, /^(?:ARCHIVE_DAMAGED|UNSUPPORTED_FORMAT)$/);
					refused += 1;
					continue;
				}
				const found = await decode(pieces(flipped));
				if (at < dataStart) {
					// The revision of the format is the only byte without a meaning.
					if (at !== 7) assert.notDeepEqual(found.toc, decoded.toc, `${name}: byte ${at}`);
					inToc += 1;
				} else if (isPlain) {
					assert.ok(free.has(at), `${name}: byte ${at} is no row's`);
					assert.deepEqual(found.toc, decoded.toc);
					assert.equal(found.tables.size, decoded.tables.size);
					inContent += 1;
				} else {
					// Compressed data has bits that mean nothing, such as those that fill its last byte.
					assert.deepEqual(found, decoded, `${name}: byte ${at}`);
				}
			}
			assert.ok(refused > 200, `${name}: ${refused} refused`);
			assert.equal(inContent > 0, isPlain, name);
			assert.ok(inToc < 500);
		}
	});

	test("a large object in another one's place, or without contents, is refused", async () => {
		const { bytes } = archives.find(({ name }) => name === 'own none 1.16')!;
		const archive = await readArchive(pieces(bytes));
		const data = dataOf(archive);
		const rewrite = async (ids: number[]) =>
			Buffer.concat(
				(await writeArchive(archive.toc, async (entry, signal) => {
					if (entry.desc !== 'BLOBS') return data(entry, signal);
					return {
						kind: 'large-objects',
						objects: (async function* () {
							for (const oid of ids) yield { oid, content: pieces(Buffer.from('x')) };
						})(),
					};
				}).toArray()) as Buffer[],
			);
		const first = await rewrite([70000, 70002]);
		assert.match((await refusal(first))?.message ?? '', /large object 70002, which/);
		for (const [ids, message] of [
			[[70000], /contents of large object 70001 are missing/],
			[[], /contents of large object 70000 are missing/],
			[[70000, 70001, 70000], /large object 70000 is there twice/],
		] as const) {
			const again = await readArchive(pieces(bytes));
			const next = dataOf(again);
			const stream = writeArchive(again.toc, async (entry, signal) => {
				if (entry.desc !== 'BLOBS') return next(entry, signal);
				return {
					kind: 'large-objects',
					objects: (async function* () {
						for (const oid of ids) yield { oid, content: pieces(Buffer.from('x')) };
					})(),
				};
			});
			const written = Buffer.concat((await stream.toArray()) as Buffer[]);
			assert.match((await refusal(written))?.message ?? '', message);
		}
	});
});

describe('hostile archives', () => {
	const header = (version: number, compression: number, write?: (out: Encoder) => void): Buffer => {
		const out = new Encoder('utf8');
		out.raw(Buffer.from('PGDMP'));
		for (const byte of [1, version, 0, 4, 8, 1]) out.byte(byte);
		if (version >= 15) out.byte(compression);
		else out.int(compression);
		for (const part of [0, 0, 0, 1, 0, 126, 0]) out.int(part);
		for (const text of ['db', '15', '15']) out.text(text);
		write?.(out);
		return Buffer.from(out.result());
	};
	const entry = (out: Encoder, { copyStmt = 'COPY t (a) FROM stdin;\n', desc = 'TABLE DATA' } = {}) => {
		out.int(1);
		out.int(1);
		for (const text of ['0', '1', 't', desc]) out.text(text);
		out.int(3);
		for (const text of [null, null, copyStmt, 'public', null, null, 'me', 'false', null]) out.text(text);
		out.fileOffset(1, 0);
	};
	/** Refused quickly, and without memory for what is only claimed. */
	const refusedCheaply = async (bytes: Buffer, code: string, endless = false): Promise<LifeboatError> => {
		const source = async function* () {
			yield bytes;
			// A source that never ends: nothing may wait for the claimed number of bytes.
			while (endless) yield Buffer.alloc(64 * 1024, 0xff);
		};
		const started = performance.now();
		const memory = process.memoryUsage().rss;
		const error = await verifyArchive(source()).then(
			() => assert.fail('it was taken'),
			(reason: unknown) => reason,
		);
		assert.ok(error instanceof LifeboatError, String(error));
		assert.equal(error.code, code, error.message);
		assert.ok(performance.now() - started < 1000, `${performance.now() - started} ms`);
		assert.ok(process.memoryUsage().rss - memory < 100 * 1024 * 1024);
		return error;
	};

	test('claimed lengths and counts cost nothing', async () => {
		const twoGiB = Buffer.from('00ffffff7f', 'hex');
		const quarter = Buffer.from('000000000f', 'hex');
		const head = header(14, 0).subarray(0, 48);
		for (const bytes of [
			Buffer.concat([head, twoGiB]),
			Buffer.concat([head, quarter, Buffer.from('db')]),
			header(14, 0, (out) => out.int(0x7fffffff)),
			header(14, 0, (out) => out.int(-1)),
			header(14, 0, (out) => {
				out.int(1);
				out.raw(Buffer.from('0001000000', 'hex'));
				out.int(1);
				out.raw(twoGiB);
			}),
		]) {
			await refusedCheaply(bytes, 'ARCHIVE_DAMAGED');
		}
		const dataOf2GiB = header(14, 0, (out) => {
			out.int(1);
			entry(out);
			out.byte(1);
			out.int(1);
			out.raw(twoGiB);
		});
		await refusedCheaply(dataOf2GiB, 'ARCHIVE_DAMAGED');
	});

	test('endless sources of nonsense are left at once', async () => {
		for (const bytes of [Buffer.from('PGDMP'), header(14, 0), Buffer.alloc(0)]) {
			await refusedCheaply(
				bytes,
				bytes.length === 0 || bytes.length === 5 ? 'UNSUPPORTED_FORMAT' : 'ARCHIVE_DAMAGED',
				true,
			);
		}
	});

	test('a small block that decompresses to gigabytes passes through in constant memory', async () => {
		const bomb = deflateSync(Buffer.alloc(256 * 1024 * 1024, 'a row of some length\n'));
		const bytes = header(14, 6, (out) => {
			out.int(1);
			entry(out);
			out.byte(1);
			out.int(1);
			out.int(bomb.length);
			out.raw(bomb);
			out.int(0);
		});
		// No end marker in it.
		const memory = process.memoryUsage().rss;
		await assert.rejects(verifyArchive(pieces(bytes)), /has no end marker/);
		assert.ok(process.memoryUsage().rss - memory < 100 * 1024 * 1024);
	});

	test('other files are called by their name', async () => {
		for (const [start, message] of [
			['--\n-- PostgreSQL database dump\n', /but SQL text/],
			['\x1f\x8b\x08\x00\x00\x00', /but a gzip file/],
			['\x28\xb5\x2f\xfd\x00\x00', /but a zstd file/],
			['age-encryption.org/v1\n', /but an encrypted file/],
			['-----BEGIN AGE ENCRYPTED FILE-----', /but an encrypted file/],
			['something else', /no PostgreSQL custom archive \(pg_dump -Fc\)$/],
		] as const) {
			const error = await refusedCheaply(Buffer.from(start, 'latin1'), 'UNSUPPORTED_FORMAT');
			assert.match(error.message, message);
			assert.ok(error.hint);
		}
		assert.match((await refusedCheaply(Buffer.alloc(0), 'ARCHIVE_DAMAGED')).message, /is empty/);
		assert.match((await refusedCheaply(Buffer.from('PGD'), 'ARCHIVE_DAMAGED')).message, /first bytes/);
	});

	test('versions, formats and compressions that are not known are named', async () => {
		const at = (position: number, value: number) => {
			const bytes = header(14, 0, (out) => out.int(0));
			bytes[position] = value;
			return bytes;
		};
		await verifyArchive(pieces(at(5, 1)));
		assert.match(
			(await refusedCheaply(at(6, 17), 'UNSUPPORTED_FORMAT')).hint ?? '',
			/Update n8n-nodes-lifeboat/,
		);
		assert.match((await refusedCheaply(at(6, 11), 'UNSUPPORTED_FORMAT')).message, /1\.11; 1\.12 to 1\.16/);
		await refusedCheaply(at(5, 2), 'UNSUPPORTED_FORMAT');
		assert.match((await refusedCheaply(at(10, 3), 'UNSUPPORTED_FORMAT')).message, /directory or tar/);
		await refusedCheaply(at(8, 8), 'ARCHIVE_DAMAGED');
		const lz4 = await refusedCheaply(
			header(15, 2, (out) => {
				out.int(1);
				entry(out);
			}),
			'UNSUPPORTED_FORMAT',
		);
		assert.match(lz4.message, /lz4/);
		assert.match(lz4.hint ?? '', /pg_restore/);
		// Without data nothing is compressed.
		assert.equal((await verifyArchive(pieces(header(15, 2, (out) => out.int(0))))).toc.compression, 'lz4');
		await refusedCheaply(header(16, 4), 'ARCHIVE_DAMAGED');
	});
});
