import type { Manifest } from '../artifact/manifest';
import { codeOf, LifeboatError } from '../errors';
import { checksumKey, openBackup, parseSha256Sidecar, readBackup } from '../storage/backups';
import { baseName } from '../storage/keys';
import { readText } from '../storage/read-text';
import type { KeptChecksums, Storage } from '../storage/storage';

import type { VerificationReport } from './report';
import { verifyStored } from './verify';

/** How a stored backup is looked at: by what the service keeps of it, by reading it, or by reading where the service keeps nothing. */
export type StoredCheck = 'kept' | 'kept-or-read' | 'read';

/** Bytes; one line. */
const MAX_CHECKSUM_FILE = 16 * 1024;

export interface StoredReport extends VerificationReport {
	level: 'stored';
	method: 'kept-checksum' | 'read';
	/** What was compared: `SHA-256`, or the `version` that the storage gave the content. */
	compared: 'SHA-256' | 'version';
}

/**
 * Verifies a backup where it lies, at the level `stored`. Without reading it, where the service keeps a checksum of the content that can be
 * compared with the manifest, or calls the content by the same version as when it was proven: that tells that it was not written
 * again, though not that it can still be read.
 *
 * @throws LifeboatError `INCOMPLETE`, `CHECKSUM_MISMATCH` as verdicts on it; `NOT_FOUND`, `BACKUP_PROBLEM` without a readable manifest
 * or with a checksum file that is missing or tells something else,
 * `NOT_COMPARABLE` if it must not be read and nothing else tells; and what reading it throws.
 */
export async function verifyInStorage(
	storage: Storage,
	key: string,
	how: StoredCheck,
	signal?: AbortSignal,
): Promise<{ manifest: Manifest; report: StoredReport }> {
	const { manifest, size, problem } = await readBackup(storage, key, signal);
	if (!manifest) {
		throw new LifeboatError(
			'BACKUP_PROBLEM',
			`${key} in ${storage.description} can't be verified: ${problem ?? 'its manifest is missing'}`,
			{ hint: 'Without its manifest nothing says what it should be' },
		);
	}
	if (size !== manifest.stored.size) throw damaged(storage, key, problem!);
	const report = await verifyObject(storage, key, manifest, how, signal);
	await requireSameChecksumFile(storage, key, manifest, signal);
	return { manifest, report };
}

async function verifyObject(
	storage: Storage,
	key: string,
	manifest: Manifest,
	how: StoredCheck,
	signal?: AbortSignal,
): Promise<StoredReport> {
	const started = performance.now();
	if (how !== 'read') {
		const proved = compare(storage, key, manifest, await storage.keptChecksums?.(key, signal));
		if (proved) {
			const seconds = Math.round(performance.now() - started) / 1000;
			return { level: 'stored', method: 'kept-checksum', bytes: 0, seconds, ...proved };
		}
		if (how === 'kept') {
			throw new LifeboatError(
				'NOT_COMPARABLE',
				`${storage.description} keeps nothing of ${key} that could be compared with its manifest`,
				{ hint: 'Allow it to be read, which costs its download' },
			);
		}
	}
	const report = await verifyStored(openBackup(storage, { key, manifest }), signal);
	return { ...report, level: 'stored', method: 'read', compared: 'SHA-256' };
}

/** What `sha256sum -c` would be told by beside the backup must be what its manifest says. */
async function requireSameChecksumFile(
	storage: Storage,
	key: string,
	{ stored }: Manifest,
	signal?: AbortSignal,
): Promise<void> {
	const wrong = (why: string, cause?: unknown) =>
		new LifeboatError('BACKUP_PROBLEM', `${checksumKey(key)} in ${storage.description} ${why}`, {
			hint: 'Compare the backup with its manifest (Read), then write the file anew: copy the backup to another place, or upload it again',
			cause,
		});
	try {
		const text = await readText(storage, checksumKey(key), MAX_CHECKSUM_FILE, { signal });
		const { sha256, fileName } = parseSha256Sidecar(text);
		if (sha256 !== stored.sha256) throw wrong("tells another SHA-256 than the backup's manifest");
		if (fileName !== baseName(key)) throw wrong(`speaks of ${fileName}, another file than the backup`);
	} catch (error) {
		const code = codeOf(error);
		if (code === 'NOT_FOUND') throw wrong('is missing', error);
		if (code === 'CHECKSUM_FILE_INVALID' || code === 'TOO_LARGE' || code === 'NOT_TEXT')
			throw wrong('is not one line as sha256sum writes it', error);
		throw error;
	}
}

/** What the service's own words prove; nothing if they speak of something else. */
function compare(
	storage: Storage,
	key: string,
	{ stored, provenVersion, fileName }: Manifest,
	kept: KeptChecksums | undefined,
): Pick<StoredReport, 'compared' | 'proved'> | undefined {
	const size = `${fileName} has the ${stored.size} bytes of its manifest`;
	const unread = 'No byte of it was read now';
	if (kept?.sha256 !== undefined) {
		if (kept.sha256 !== stored.sha256)
			throw damaged(storage, key, 'the SHA-256 that the service keeps of it is not the one in its manifest');
		const same = 'The SHA-256 that the service keeps of it, since it took it in, is the one in its manifest';
		return { compared: 'SHA-256', proved: [size, same, unread] };
	}
	// Elsewhere the same words may mean something else.
	if (provenVersion?.storage !== storage.description || provenVersion.version !== kept?.version)
		return undefined;
	const when =
		provenVersion.method === 'read-back'
			? 'its bytes were read back and had the SHA-256 of its manifest'
			: 'the service confirmed the checksums of what was sent';
	const same = `It is still the version (${provenVersion.version}) of which, when it was stored, ${when}`;
	return { compared: 'version', proved: [size, same, unread] };
}

function damaged(storage: Storage, key: string, why: string): LifeboatError {
	return new LifeboatError('CHECKSUM_MISMATCH', `${key} in ${storage.description} is damaged: ${why}`, {
		hint: 'Do not use this copy. Take the same backup from another destination, or an older one',
	});
}
