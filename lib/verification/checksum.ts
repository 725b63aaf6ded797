import { createHash } from 'node:crypto';

import type { Artifact } from '../artifact/artifact';
import { LifeboatError } from '../errors';
import { readToEnd } from '../streams/read-to-end';

/** A way to sum bytes up, with the command of GNU coreutils that checks its files. */
export interface ChecksumAlgorithm {
	/** As people write it. */
	readonly title: string;
	readonly command: string;
	/** Of its files, with the dot. */
	readonly extension: string;
	/** As `node:crypto` calls it. */
	readonly hash: string;
	/** As `--tag` writes it. */
	readonly tag: string;
	/** Hexadecimal digits of a value. */
	readonly digits: number;
}

export const checksumAlgorithms = {
	blake2b: {
		...{ title: 'BLAKE2b-512', command: 'b2sum', extension: '.b2' },
		...{ hash: 'blake2b512', tag: 'BLAKE2b', digits: 128 },
	},
	md5: {
		...{ title: 'MD5', command: 'md5sum', extension: '.md5', hash: 'md5', tag: 'MD5', digits: 32 },
	},
	sha256: {
		...{ title: 'SHA-256', command: 'sha256sum', extension: '.sha256' },
		...{ hash: 'sha256', tag: 'SHA256', digits: 64 },
	},
	sha512: {
		...{ title: 'SHA-512', command: 'sha512sum', extension: '.sha512' },
		...{ hash: 'sha512', tag: 'SHA512', digits: 128 },
	},
} as const satisfies Record<string, ChecksumAlgorithm>;

export type ChecksumName = keyof typeof checksumAlgorithms;

const names = Object.keys(checksumAlgorithms) as ChecksumName[];

/** Reads the bytes of an artifact to their end and sums them up, all in one pass: hexadecimal, lower case. */
export async function checksumsOf(
	artifact: Artifact,
	algorithms: readonly ChecksumName[],
	signal?: AbortSignal,
): Promise<{ fileName: string; size: number; values: Map<ChecksumName, string> }> {
	const opened = await artifact.open(signal);
	const hashes = algorithms.map((name) => [name, createHash(checksumAlgorithms[name].hash)] as const);
	let size = 0;
	await readToEnd(opened.stream, (chunk) => {
		size += chunk.length;
		for (const [, hash] of hashes) hash.update(chunk);
	});
	const { fileName } = await opened.finish();
	return { fileName, size, values: new Map(hashes.map(([name, hash]) => [name, hash.digest('hex')])) };
}

/** What a checksum file says of one file. Several algorithms where its value could be of any of them. */
interface Expected {
	algorithms: ChecksumName[];
	value: string;
}

/**
 * Reads what `sha256sum`, `sha512sum`, `b2sum` or `md5sum` wrote, with or without `--tag`, for one file among those it lists.
 *
 * @throws LifeboatError `CHECKSUM_FILE_INVALID`; `NOT_FOUND` if it doesn't list the file.
 * @see https://www.gnu.org/software/coreutils/manual/html_node/cksum-output-modes.html
 */
export function expectedChecksum(text: string, fileName: string): Expected {
	const listed: string[] = [];
	for (const line of text.split('\n').filter((each) => each.trim() !== '')) {
		const { file, ...expected } = parseLine(line);
		if (file === fileName) return expected;
		listed.push(file);
	}
	throw new LifeboatError('NOT_FOUND', `The checksum file does not list ${fileName}`, {
		hint: listed.length > 0 ? `It lists ${listed.slice(0, 5).join(', ')}` : 'It is empty',
	});
}

function parseLine(line: string): Expected & { file: string } {
	const plain = /^(\\?)([0-9a-fA-F]+) [ *](.+)$/.exec(line);
	const tagged = /^(\\?)(\w+) \((.+)\) = ([0-9a-fA-F]+)$/.exec(line);
	const [, escape, file, value] = plain
		? [plain[0], plain[1], plain[3], plain[2]]
		: [tagged?.[0], tagged?.[1], tagged?.[3], tagged?.[4]];
	const algorithms = names.filter((name) => {
		const { digits, tag } = checksumAlgorithms[name];
		return digits === value?.length && (plain !== null || tag === tagged![2]);
	});
	if (file === undefined || value === undefined || algorithms.length === 0) {
		throw new LifeboatError(
			'CHECKSUM_FILE_INVALID',
			'The checksum file has a line that is not as sha256sum, sha512sum, b2sum or md5sum write it',
			{ hint: 'It may be damaged, cut short, or of another kind' },
		);
	}
	const letters: Record<string, string> = { n: '\n', r: '\r' };
	const unescaped = file.replaceAll(/\\([\\nr])/g, (_, letter: string) => letters[letter] ?? letter);
	return { algorithms, value: value.toLowerCase(), file: escape ? unescaped : file };
}

/**
 * Compares the bytes as they are with a checksum file.
 *
 * @returns what is now known to be true, in one sentence.
 * @throws LifeboatError `CHECKSUM_MISMATCH`, and those of `expectedChecksum`.
 */
export async function verifyChecksumFile(
	artifact: Artifact,
	text: string,
	signal?: AbortSignal,
): Promise<string> {
	const { fileName } = artifact.draft;
	const { algorithms, value } = expectedChecksum(text, fileName);
	const { values } = await checksumsOf(artifact, algorithms, signal);
	const match = algorithms.find((name) => values.get(name) === value);
	if (match) return `${fileName} has the ${checksumAlgorithms[match].title} of the checksum file`;
	const titles = algorithms.map((name) => checksumAlgorithms[name].title).join(' or ');
	throw new LifeboatError(
		'CHECKSUM_MISMATCH',
		`${fileName} is damaged: its ${titles} is not the one in the checksum file`,
		{ hint: 'Do not use this copy. Take the same backup from another destination, or an older one' },
	);
}
