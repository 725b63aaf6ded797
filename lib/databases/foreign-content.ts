import type { Duplex, Readable } from 'node:stream';

import type { Transformation } from '../artifact/manifest';
import type { Decoder } from '../artifact/transform';
import { LifeboatError } from '../errors';
import { chain } from '../streams/chain';

/** How much of a file tells what it is. */
const LONGEST_START = 40;

/** Nobody wraps a dump more often. */
const MOST_LAYERS = 6;

const layers: readonly { start: RegExp; transformation: Transformation }[] = [
	{ start: /^\x1f\x8b/, transformation: { type: 'compression', format: 'gzip' } },
	{
		start: /^(?:\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)/,
		transformation: { type: 'compression', format: 'zstd' },
	},
	{
		start: /^(?:age-encryption\.org\/|-----BEGIN AGE ENCRYPTED FILE-----)/,
		transformation: { type: 'encryption', format: 'age' },
	},
	{ start: /^LBAESGCM/, transformation: { type: 'encryption', format: 'aes-256-gcm' } },
	{
		start: /^(?:-----BEGIN PGP MESSAGE-----|[\x84\x85\x8c\xc1\xc3])/,
		transformation: { type: 'encryption', format: 'openpgp' },
	},
];

/** A file without manifest, and what was found around the dump in it. */
export interface ForeignContent {
	/** From the outside in. */
	readonly layers: readonly Transformation[];
	/** Opens the dump itself, decrypted and decompressed, from its start. */
	readonly open: (signal?: AbortSignal) => Promise<Readable>;
}

/**
 * Finds out by its first bytes how a file is compressed and encrypted, as often as that was done.
 *
 * @param what how to call the file in messages. @throws LifeboatError `UNSUPPORTED_FORMAT`, or what the decoder says: no key, say.
 */
export async function foreignContent(
	open: (signal?: AbortSignal) => Promise<Readable>,
	decoder: Decoder,
	what: string,
	signal?: AbortSignal,
): Promise<ForeignContent> {
	const found: Transformation[] = [];
	const openPlain = async (openSignal?: AbortSignal) => {
		const transforms: Duplex[] = [];
		for (const transformation of found) transforms.push(await decoder(transformation));
		return chain(await open(openSignal), transforms, openSignal);
	};
	for (;;) {
		const start = await startOf(await openPlain(signal));
		if (start === '' && found.length === 0) {
			throw new LifeboatError('INCOMPLETE', `${what} is empty`, {
				hint: 'Check that the right file was chosen, and how it was made',
			});
		}
		const layer = layers.find((candidate) => candidate.start.test(start));
		if (!layer) return { layers: found, open: openPlain };
		if (found.length >= MOST_LAYERS) {
			throw new LifeboatError(
				'UNSUPPORTED_FORMAT',
				`${what} is compressed or encrypted more than ${MOST_LAYERS} times`,
				{
					hint: 'Unpack it by hand first',
				},
			);
		}
		found.push(layer.transformation);
	}
}

async function startOf(stream: Readable): Promise<string> {
	let start = Buffer.alloc(0);
	for await (const chunk of stream) {
		start = Buffer.concat([start, chunk as Buffer]);
		if (start.length >= LONGEST_START) break;
	}
	stream.destroy();
	return start.toString('latin1', 0, LONGEST_START);
}
