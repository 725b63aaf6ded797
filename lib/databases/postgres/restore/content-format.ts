import { LifeboatError } from '../../../errors';

/** What a dump is, told by its first bytes. */
export type ContentFormat = 'plain-sql' | 'pg-custom';

const longestMagic = 6;

/** What else may be handed over by mistake, and what to do about it. */
const others: readonly { start: RegExp; what: string; hint: string }[] = [
	{ start: /^\x1f\x8b/, what: 'is compressed with gzip', hint: 'Decompress it first' },
	{ start: /^\x28\xb5\x2f\xfd/, what: 'is compressed with zstd', hint: 'Decompress it first' },
	{
		start: /^(?:BZh|\xfd7zXZ|PK\x03\x04)/,
		what: 'is compressed',
		hint: 'Decompress it first',
	},
	{
		start: /^\x04\x22\x4d\x18/,
		what: 'is compressed with lz4, which is not read here',
		hint: 'Decompress it with the command lz4 -d first, and use zstd or gzip in future',
	},
	{ start: /^age-en/, what: 'is encrypted with age', hint: 'Decrypt it first' },
	{ start: /^-----B/, what: 'is encrypted', hint: 'Decrypt it first' },
	{
		start: /^toc\.da/,
		what: 'is a tar archive of pg_dump',
		hint: 'Dump with --format=custom or as plain SQL, or restore it with pg_restore',
	},
	{ start: /^(?:\xff\xfe|\xfe\xff)/, what: 'is text in UTF-16', hint: 'Save it as UTF-8 first' },
	{ start: /^SQLite/, what: 'is a SQLite database', hint: 'Choose the backup of a PostgreSQL database' },
];

/**
 * Reads as many bytes as tell what a dump is.
 *
 * @returns the format, and all the bytes, those that were read included.
 * @throws LifeboatError `UNSUPPORTED_FORMAT` for what is neither SQL text nor a custom archive of pg_dump.
 */
export async function detectFormat(
	source: AsyncIterable<Buffer | Uint8Array>,
): Promise<{ format: ContentFormat; bytes: AsyncIterable<Buffer | Uint8Array> }> {
	const iterator = source[Symbol.asyncIterator]() as AsyncIterator<Buffer | Uint8Array, undefined>;
	const read: (Buffer | Uint8Array)[] = [];
	let size = 0;
	while (size < longestMagic) {
		const result = await iterator.next();
		if (result.done) break;
		read.push(result.value);
		size += result.value.length;
	}
	const start = Buffer.concat(read).toString('latin1', 0, longestMagic);
	const other = others.find((candidate) => candidate.start.test(start));
	if (other) {
		throw new LifeboatError(
			'UNSUPPORTED_FORMAT',
			`The backup to restore ${other.what}: it can't be restored as it is`,
			{
				hint: other.hint,
			},
		);
	}
	async function* all(): AsyncGenerator<Buffer | Uint8Array, void, undefined> {
		yield* read;
		for (;;) {
			const result = await iterator.next();
			if (result.done) return;
			yield result.value;
		}
	}
	return { format: start.startsWith('PGDMP') ? 'pg-custom' : 'plain-sql', bytes: all() };
}
