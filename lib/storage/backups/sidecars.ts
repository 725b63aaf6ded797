import { LifeboatError } from '../../errors';

/** Key of the manifest of the backup under a key. It is written last: a backup without one is unfinished. */
export const manifestKey = (key: string): string => `${key}${MANIFEST_SUFFIX}`;

/** Key of the checksum file of the backup under a key. */
export const checksumKey = (key: string): string => `${key}${CHECKSUM_SUFFIX}`;

/** Key of what a restore test found about the backup under a key. */
export const proofKey = (key: string): string => `${key}${PROOF_SUFFIX}`;

/** Key of the file that keeps the backup under a key from being deleted. */
export const pinKey = (key: string): string => `${key}${PIN_SUFFIX}`;

const MANIFEST_SUFFIX = '.manifest.json';
const CHECKSUM_SUFFIX = '.sha256';
const PROOF_SUFFIX = '.proof.json';
const PIN_SUFFIX = '.pin.json';

/** What ends the keys of the files beside a backup, by what they are. */
export const sidecarSuffixes = {
	manifest: MANIFEST_SUFFIX,
	checksum: CHECKSUM_SUFFIX,
	proof: PROOF_SUFFIX,
	pin: PIN_SUFFIX,
} as const;

export type Sidecar = keyof typeof sidecarSuffixes;

/** The content of a `.sha256` file, as `sha256sum -c` takes it (GNU coreutils, "cksum output modes"). */
export function sha256Sidecar(fileName: string, sha256: string): string {
	const escaped = fileName.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
	return `${escaped === fileName ? '' : '\\'}${sha256}  ${escaped}\n`;
}

/**
 * Reads what `sha256sum` or `sha256Sidecar` wrote for one file.
 *
 * @throws LifeboatError `CHECKSUM_FILE_INVALID` unless it is exactly one line of that format.
 */
export function parseSha256Sidecar(text: string): { fileName: string; sha256: string } {
	const match = /^(\\?)([0-9a-fA-F]{64}) [ *]([^\n]+)\n?$/.exec(text);
	if (!match) {
		throw new LifeboatError(
			'CHECKSUM_FILE_INVALID',
			'The checksum file is not one line as sha256sum writes it',
			{
				hint: 'It may be damaged or cut short. The SHA-256 also stands in the manifest beside the backup',
			},
		);
	}
	const [, escape, sha256, name] = match as unknown as [string, string, string, string];
	const unescaped = (_: string, letter: string) => ({ n: '\n', r: '\r' })[letter] ?? letter;
	return {
		fileName: escape ? name.replaceAll(/\\([\\nr])/g, unescaped) : name,
		sha256: sha256.toLowerCase(),
	};
}
