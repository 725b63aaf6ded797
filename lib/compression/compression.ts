import type { Duplex } from 'node:stream';

import type { CompressionTransformation } from '../artifact/manifest';
import type { Encoding } from '../artifact/transform';
import { LifeboatError } from '../errors';

import { gzip } from './gzip';
import { zstd } from './zstd';

/** A compression format. A new one is a file beside this one and a line in `formats`. */
export interface CompressionFormat {
	readonly name: CompressionTransformation['format'];
	/** With its dot. */
	readonly extension: string;
	readonly defaultLevel: number;
	readonly levels: { min: number; max: number };
	compressor(level: number): Duplex;
	decompressor(): Duplex;
}

const formats: readonly CompressionFormat[] = [gzip, zstd];

/** The name of a compression format. */
export type CompressionName = CompressionTransformation['format'];

/**
 * The step that compresses.
 *
 * @param level the format's default unless given. @throws LifeboatError `INVALID_OPTION` outside the format's levels.
 */
export function compressionEncoding(name: CompressionName, level?: number): Encoding {
	const format = formatNamed(name);
	const { min, max } = format.levels;
	const chosen = level ?? format.defaultLevel;
	if (!Number.isInteger(chosen) || chosen < min || chosen > max) {
		throw new LifeboatError('INVALID_OPTION', `${chosen} is not a level of ${name}`, {
			hint: `Choose a whole number from ${min} to ${max}; ${format.defaultLevel} is the default`,
		});
	}
	return {
		transformation: { type: 'compression', format: name, level: chosen },
		extension: format.extension,
		createTransform: async () => format.compressor(chosen),
	};
}

/** The transform that undoes a compression. Data that is damaged or cut short fails, it never ends early. */
export function decompressor(transformation: CompressionTransformation): Duplex {
	return formatNamed(transformation.format).decompressor();
}

function formatNamed(name: string): CompressionFormat {
	const format = formats.find((candidate) => candidate.name === name);
	if (!format) {
		throw new LifeboatError(
			'UNSUPPORTED_FORMAT',
			`This version of Lifeboat does not know the compression ${name}`,
			{
				hint: `Known are ${formats.map((known) => known.name).join(' and ')}. Update n8n-nodes-lifeboat if the backup comes from a newer version`,
			},
		);
	}
	return format;
}
