import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';

import { packBundle } from '../../../lib/archive/bundle';
import type { Manifest } from '../../../lib/artifact/manifest';
import { compressionEncoding } from '../../../lib/compression/compression';
import { chain } from '../../../lib/streams/chain';
import { verifyComplete, verifyReadable, verifyStored } from '../../../lib/verification/verify';

import { collect, dumpOf, failsWith, inFolder, known, now, streamOf, withBytes } from '../archive/helpers';

import { archiveOf, compressed, decoder, dumpText, forged, tables, type Known } from './samples';

describe('the level stored', () => {
	test('proves size and checksum, and needs no key', async () => {
		const backup = await compressed(await dumpOf(dumpText, { tables }));
		const report = await verifyStored(backup);
		assert.deepEqual([report.level, report.bytes], ['stored', backup.bytes.length]);
		assert.ok(report.seconds >= 0);
		assert.deepEqual(report.proved, [
			`shop-20261121T020000Z.sql.zst has the ${backup.bytes.length} bytes and the SHA-256 of its manifest`,
		]);
	});

	test('notices every flipped bit and every missing byte', async () => {
		const backup = await compressed(await dumpOf(dumpText, { tables }));
		for (let bit = 0; bit < backup.bytes.length * 8; bit += 7) {
			const broken = Buffer.from(backup.bytes);
			broken[bit >> 3]! ^= 1 << (bit & 7);
			await assert.rejects(verifyStored(withBytes(backup.manifest, broken)), failsWith('CHECKSUM_MISMATCH'));
		}
		for (let length = 0; length < backup.bytes.length; length += 11) {
			const cut = withBytes(backup.manifest, backup.bytes.subarray(0, length));
			await assert.rejects(verifyStored(cut), failsWith('CHECKSUM_MISMATCH'));
		}
		const longer = withBytes(backup.manifest, Buffer.concat([backup.bytes, Buffer.from('x')]));
		await assert.rejects(verifyStored(longer), failsWith('CHECKSUM_MISMATCH'));
	});

	test('does not rely on the artifact to compare', async () => {
		const backup = await dumpOf(dumpText, { tables });
		const careless = {
			...backup,
			open: async () => ({
				stream: Readable.from([Buffer.from('other')]),
				finish: async () => backup.manifest,
			}),
		};
		await assert.rejects(verifyStored(careless), failsWith('CHECKSUM_MISMATCH'));
	});

	test('says nothing of what lies behind the checksum', async () => {
		const original = await dumpOf(dumpText, { tables });
		await verifyStored(await forged(original, Buffer.from('-- not a dump\n')));
	});
});

function* megabytes() {
	for (let i = 0; i < 1024; i++) yield Buffer.alloc(1 << 20);
}

describe('the level readable', () => {
	for (const name of ['gzip', 'zstd'] as const) {
		test(`proves that it opens to its end (${name})`, async () => {
			const backup = await compressed(await dumpOf(dumpText, { tables }), name);
			const report = await verifyReadable(backup, decoder);
			assert.equal(report.level, 'readable');
			assert.match(
				report.proved[1]!,
				new RegExp(
					`^It opens to its end \\(${name}\\), and its content is the ${Buffer.byteLength(dumpText)} bytes`,
				),
			);
		});

		test(`notices compressed data that is cut or damaged, though the checksum is that of what is there (${name})`, async () => {
			const backup = await compressed(await dumpOf(dumpText.repeat(50), { tables }), name);
			const of = async (bytes: Buffer) =>
				await forged(backup, bytes, {
					transformations: backup.manifest.transformations,
					content: backup.manifest.content,
				});
			for (let length = 0; length < backup.bytes.length; length += 29) {
				const cut = await of(backup.bytes.subarray(0, length));
				await verifyStored(cut);
				await assert.rejects(
					verifyReadable(cut, decoder),
					/cut|damaged|decompress|unexpected end/i,
					`cut at ${length}`,
				);
			}
			for (let byte = 0; byte < backup.bytes.length; byte += 13) {
				const broken = Buffer.from(backup.bytes);
				broken[byte]! ^= 0x10;
				const outcome = await verifyReadable(await of(broken), decoder).catch((error: unknown) => error);
				// Some bytes of a header stand for nothing, such as gzip's operating system: then the content is whole.
				if (outcome instanceof Error) assert.match(outcome.constructor.name, /^LifeboatError$/);
				else assert.ok(byte < 10, `byte ${byte}`);
			}
		});
	}

	test('notices content other than what was backed up', async () => {
		const backup = await dumpOf(dumpText, { tables });
		const other = await compressed(await dumpOf(dumpText.replace('one', 'two')));
		const manifest = { ...other.manifest, content: backup.manifest.content };
		await assert.rejects(
			verifyReadable(withBytes(manifest, other.bytes), decoder),
			failsWith('CHECKSUM_MISMATCH', /content of/),
		);
	});

	test('does not believe a manifest that contradicts itself', async () => {
		const backup = await dumpOf(dumpText, { tables });
		const manifest = { ...backup.manifest, content: { ...backup.manifest.content, sha256: '0'.repeat(64) } };
		const artifact = withBytes(manifest, backup.bytes);
		await verifyStored(artifact);
		for (const verify of [verifyReadable, verifyComplete]) {
			await assert.rejects(
				verify(artifact, decoder),
				failsWith('CHECKSUM_MISMATCH', /other bytes as its content/),
			);
		}
	});

	test('does not read a decompression bomb to its end', async () => {
		// A gigabyte of zeros, compressed to some kilobytes, in a manifest that speaks of a thousand bytes.
		const encoding = compressionEncoding('zstd');
		const zeros = Readable.from(megabytes());
		const packed = await collect(chain(zeros, [await encoding.createTransform()]));
		const artifact = await forged(await dumpOf(''), packed, {
			transformations: [encoding.transformation],
			content: { size: 1000, sha256: '0'.repeat(64) },
		});
		const before = process.memoryUsage().rss;
		await assert.rejects(
			verifyReadable(artifact, decoder),
			// Said only where reading ended there.
			failsWith('CHECKSUM_MISMATCH', /more than 1000 bytes/),
		);
		assert.ok(process.memoryUsage().rss - before < 100 * 2 ** 20);
	});

	test('passes on why there is no decoder', async () => {
		const backup = await compressed(await dumpOf(dumpText));
		await assert.rejects(
			verifyReadable(backup, async () => Promise.reject(new Error('no key fits'))),
			/no key fits/,
		);
	});

	test('says nothing of the format', async () => {
		const original = await dumpOf(dumpText, { tables });
		await verifyReadable(await forged(original, Buffer.from('-- not a dump\n')), decoder);
	});
});

describe('the level complete: a plain dump', () => {
	test('has its end and all its rows, whatever looks like rows elsewhere', async () => {
		const report = await verifyComplete(await compressed(await dumpOf(dumpText, { tables })), decoder);
		assert.deepEqual([report.level, report.proved.length], ['complete', 4]);
		assert.match(report.proved[2]!, /last line/);
		assert.equal(report.proved[3], 'All 3 tables have the rows that were counted, 5 in all');
	});

	test('may come without row counts: then nothing is said of them', async () => {
		const { proved } = await verifyComplete(await dumpOf(dumpText), decoder);
		assert.equal(proved.length, 3);
	});

	const broken: [string, string, (text: string) => string, RegExp][] = [
		[
			'a row is missing',
			'ROW_COUNT_MISMATCH',
			(text) => text.replace('1\tone\n', ''),
			/public\.orders has 2 rows instead of 3/,
		],
		[
			'a row comes twice',
			'ROW_COUNT_MISMATCH',
			(text) => text.replace('1\tone\n', '1\tone\n1\tone\n'),
			/has 4 rows instead of 3/,
		],
		[
			'a table is empty',
			'ROW_COUNT_MISMATCH',
			(text) => text.replace(/1\tone[^]*?3\t\\N\n/, ''),
			/has 0 rows instead of 3/,
		],
		[
			'a table is gone',
			'ROW_COUNT_MISMATCH',
			(text) => text.replace(/COPY "Odd[^]*?\\\.\n/, ''),
			/Odd "Schema"\.Größe has 0 rows instead of 2/,
		],
		[
			'rows went to another table',
			'ROW_COUNT_MISMATCH',
			(text) => text.replace('COPY public.orders (id, note)', 'COPY public.other (id, note)'),
			/other has 3 rows, but is not in the manifest/,
		],
		[
			'its last line is missing',
			'INCOMPLETE',
			(text) => text.slice(0, text.lastIndexOf('--\n-- PostgreSQL database dump complete')),
			/last line/,
		],
		['something follows its last line', 'INCOMPLETE', (text) => `${text}SELECT 1;\n`, /last line/],
		['its first line is missing', 'INCOMPLETE', (text) => text.slice(33), /first line/],
		['it is empty', 'INCOMPLETE', () => '', /first line/],
		[
			'rows have no end',
			'INCOMPLETE',
			(text) => text.slice(0, text.indexOf('2\ta line')),
			/ends inside the rows/,
		],
		['it ends in a string', 'INCOMPLETE', (text) => text.slice(0, text.lastIndexOf("'")), /ends inside/],
		['it ends in a function', 'INCOMPLETE', (text) => text.slice(0, text.indexOf('9\n')), /ends inside/],
	];
	for (const [what, code, change, message] of broken) {
		test(`is refused when ${what}, though its checksums are right`, async () => {
			const original = await dumpOf(dumpText, { tables });
			const changed = change(dumpText);
			assert.notEqual(changed, dumpText);
			const artifact = await forged(original, Buffer.from(changed));
			await verifyReadable(artifact, decoder);
			await assert.rejects(verifyComplete(artifact, decoder), failsWith(code, message));
		});
	}

	test('is refused wherever it is cut', async () => {
		const original = await dumpOf(dumpText, { tables });
		const whole = Buffer.from(dumpText);
		const trailer = whole.lastIndexOf('dump complete') + 'dump complete'.length;
		for (let length = 0; length < trailer; length++) {
			const artifact = await forged(original, whole.subarray(0, length));
			await assert.rejects(
				verifyComplete(artifact, decoder),
				(error: { code?: string }) => error.code === 'INCOMPLETE',
				`cut at ${length}`,
			);
		}
	});

	test('is counted the same in chunks of any size', async () => {
		const original = await dumpOf(dumpText, { tables });
		for (let size = 1; size < 40; size++) {
			const artifact = {
				...original,
				open: async () => ({ stream: streamOf(original.bytes, size), finish: async () => original.manifest }),
			};
			await verifyComplete(artifact, decoder);
		}
	});

	test('counts rows that come as INSERT statements', async () => {
		const text = dumpText.replace(
			/COPY "Odd[^]*?\\\.\n/,
			`INSERT INTO "Odd ""Schema""" . "Größe" VALUES (1);\nINSERT INTO "Odd ""Schema"""."Größe" (id) VALUES (2);\n`,
		);
		await verifyComplete(await dumpOf(text, { tables }), decoder);
	});
});

describe('the level complete: an archive of files', () => {
	test('has its end and all its entries', () =>
		inFolder(async (folder) => {
			const { proved } = await verifyComplete(await compressed(await archiveOf(folder)), decoder);
			assert.equal(
				proved[2],
				'The archive has its end, every header is valid, and it holds all 2 files, 2 folders and 0 links',
			);
		}));

	test('is refused wherever it is cut or an entry is missing, though its checksums are right', () =>
		inFolder(async (folder) => {
			const original = await archiveOf(folder);
			for (let length = 0; length < original.bytes.length; length += 512) {
				const artifact = await forged(original, original.bytes.subarray(0, length));
				await verifyReadable(artifact, decoder);
				await assert.rejects(verifyComplete(artifact, decoder), failsWith('INCOMPLETE'), `cut at ${length}`);
			}
			const blocks = original.bytes.length / 512;
			for (let block = 0; block < blocks; block++) {
				const without = Buffer.concat([
					original.bytes.subarray(0, block * 512),
					original.bytes.subarray(block * 512 + 512),
				]);
				const artifact = await forged(original, without);
				await assert.rejects(verifyComplete(artifact, decoder), `without block ${block}`);
			}
		}));

	test('is refused when any bit of it is flipped, in content by its checksum, in headers by the format, too', () =>
		inFolder(async (folder) => {
			const original = await archiveOf(folder);
			for (let block = 0; block < original.bytes.length; block += 512) {
				const broken = Buffer.from(original.bytes);
				broken[block + 20]! ^= 1;
				await assert.rejects(
					verifyStored(withBytes(original.manifest, broken)),
					failsWith('CHECKSUM_MISMATCH'),
				);
				await assert.rejects(verifyComplete(withBytes(original.manifest, broken), decoder));
				const isHeader = original.bytes.toString('latin1', block + 257, block + 262) === 'ustar';
				if (isHeader)
					await assert.rejects(verifyComplete(await forged(original, broken), decoder), failsWith('DAMAGED'));
			}
		}));

	test('is refused when it holds other than was counted', () =>
		inFolder(async (folder) => {
			const original = await archiveOf(folder);
			for (const change of [{ fileCount: 3 }, { folderCount: 1 }, { linkCount: 1 }]) {
				const { source } = original.manifest;
				const artifact = withBytes(
					{ ...original.manifest, source: { ...source, ...change } },
					original.bytes,
				);
				await assert.rejects(verifyComplete(artifact, decoder), failsWith('ENTRY_COUNT_MISMATCH'));
			}
		}));
});

describe('the level complete: a bundle', () => {
	async function bundleOf(folder: string, dump: Known): Promise<Known> {
		return await known(
			packBundle({ name: 'all', now, artifacts: [await compressed(dump), await archiveOf(folder)] }),
		);
	}

	test('is proven with all that lies in it, in one pass', () =>
		inFolder(async (folder) => {
			const bundle = await bundleOf(folder, await dumpOf(dumpText, { tables }));
			let opened = 0;
			const counted = {
				...bundle,
				open: async (signal?: AbortSignal) => ((opened += 1), await bundle.open(signal)),
			};
			const { proved } = await verifyComplete(counted, decoder);
			assert.equal(opened, 1);
			assert.deepEqual(proved.slice(2), [
				'The bundle has its end and holds all 2 backups that it names',
				'shop-20261121T020000Z.sql.zst: The dump has its last line, and every statement is whole',
				'shop-20261121T020000Z.sql.zst: All 3 tables have the rows that were counted, 5 in all',
				'files-20261121T020000Z.tar: The archive has its end, every header is valid, and it holds all 2 files, 2 folders and 0 links',
			]);
		}));

	test('is refused for a backup in it that is not whole', () =>
		inFolder(async (folder) => {
			const whole = await dumpOf(dumpText, { tables });
			const short = await forged(whole, Buffer.from(dumpText.replace('1\tone\n', '')));
			await assert.rejects(
				verifyComplete(await bundleOf(folder, short), decoder),
				failsWith('ROW_COUNT_MISMATCH'),
			);
		}));

	test('is refused for a backup in it of which the manifest names other bytes as its content', () =>
		inFolder(async (folder) => {
			const plain = await known(packBundle({ name: 'all', now, artifacts: [await archiveOf(folder)] }));
			const { manifest } = plain.manifest.entries![0]!;
			const otherContent = { ...manifest, content: { ...manifest.content, sha256: '0'.repeat(64) } };
			const lying = {
				...(await archiveOf(join(folder, 'again'))),
				manifest: otherContent,
				draft: otherContent,
			};
			const bundle = await known(packBundle({ name: 'all', now, artifacts: [lying] }));
			assert.equal(bundle.manifest.entries![0]!.manifest.content.sha256, '0'.repeat(64));
			await verifyReadable(bundle, decoder);
			await assert.rejects(
				verifyComplete(bundle, decoder),
				failsWith('CHECKSUM_MISMATCH', /other bytes as its content/),
			);
		}));

	test('is refused when it is cut, though its checksums are right', () =>
		inFolder(async (folder) => {
			const bundle = await bundleOf(folder, await dumpOf(dumpText, { tables }));
			for (let length = 0; length < bundle.bytes.length; length += 512) {
				const cut = await forged(bundle, bundle.bytes.subarray(0, length));
				const code = (error: { code?: string }) =>
					/^(INCOMPLETE|DAMAGED|CHECKSUM_MISMATCH)$/.test(error.code ?? '');
				await assert.rejects(verifyComplete(cut, decoder), code, `cut at ${length}`);
			}
		}));

	test('is refused when a backup that it names is not in it, or one that it does not name is', () =>
		inFolder(async (folder) => {
			const bundle = await bundleOf(folder, await dumpOf(dumpText, { tables }));
			const files = bundle.manifest.entries![1]!.manifest.stored.size;
			// The last entry is its header, its content and the end of the archive.
			const start = bundle.bytes.length - 1024 - Math.ceil(files / 512) * 512 - 512;
			const last = bundle.bytes.subarray(start, -1024);
			const without = Buffer.concat([bundle.bytes.subarray(0, start), Buffer.alloc(1024)]);
			const twice = Buffer.concat([bundle.bytes.subarray(0, start), last, last, Buffer.alloc(1024)]);
			await assert.rejects(
				verifyComplete(await forged(bundle, without), decoder),
				failsWith('DAMAGED', /holds 1 backups, its manifest names 2/),
			);
			await assert.rejects(
				verifyComplete(await forged(bundle, twice), decoder),
				failsWith('DAMAGED', /where its manifest names nothing/),
			);
		}));

	test('is refused when it is another bundle, or what it names is not what it holds', () =>
		inFolder(async (folder) => {
			const bundle = await bundleOf(folder, await dumpOf(dumpText, { tables }));
			const entries = bundle.manifest.entries!;
			const changes: [Partial<Manifest>, RegExp][] = [
				[{ id: 'another' }, /that of another bundle/],
				[{ entries: entries.toReversed() }, /that of another bundle/],
				[{ entries: entries.slice(1) }, /that of another bundle/],
				[{ entries: undefined }, /that of another bundle/],
			];
			for (const [change, message] of changes) {
				const artifact = withBytes({ ...bundle.manifest, ...change }, bundle.bytes);
				await assert.rejects(verifyComplete(artifact, decoder), failsWith('DAMAGED', message));
			}
		}));
});

test('an abort ends the reading', async () => {
	const backup = await dumpOf(dumpText, { tables });
	for (const verify of [
		verifyStored,
		(artifact: Known, signal: AbortSignal) => verifyReadable(artifact, decoder, signal),
		(artifact: Known, signal: AbortSignal) => verifyComplete(artifact, decoder, signal),
	]) {
		const controller = new AbortController();
		const stream = new Readable({ read() {} });
		stream.push(backup.bytes.subarray(0, 100));
		const hanging = { ...backup, open: async () => ({ stream, finish: async () => backup.manifest }) };
		setTimeout(() => controller.abort(), 20);
		await assert.rejects(verify(hanging, controller.signal), { name: 'AbortError' });
		assert.equal(stream.destroyed, true);
	}
});
