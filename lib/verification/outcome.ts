import type { Artifact } from '../artifact/artifact';
import type { Manifest } from '../artifact/manifest';
import type { Decoder } from '../artifact/transform';
import { LifeboatError } from '../errors';

import type { VerificationLevel, VerificationReport } from './report';
import { verifyComplete, verifyReadable, verifyStored } from './verify';

/** What a check came to: everything it set out to prove, or the first level that does not hold, and why. */
export type VerificationOutcome =
	| { passed: true; report: VerificationReport }
	| {
			passed: false;
			/** The first level that does not hold. Those before it do. */
			level: VerificationLevel;
			error: LifeboatError;
			/** What holds all the same, one sentence each. */
			proved: string[];
	  };

/** Codes that are a verdict on the backup. All others say that it could not be looked at: no key, no access, no such file. */
const verdicts = new Set([
	'ARCHIVE_DAMAGED',
	'CHECKSUM_MISMATCH',
	'DAMAGED',
	'ENTRY_COUNT_MISMATCH',
	'INCOMPLETE',
	'INVALID_SQL',
	'ROW_COUNT_MISMATCH',
	'UNSAFE_ENTRY',
]);

/** Whether an error says that the backup is not what it should be, rather than that it could not be looked at. */
export function isVerdict(error: unknown): error is LifeboatError {
	return error instanceof LifeboatError && verdicts.has(error.code);
}

/**
 * Checks a backup up to a level. A backup that does not hold is an outcome; not being able to tell is an error.
 *
 * Damage often shows first where it does harm, as a decryption that fails, say: so the levels below are checked again on their
 * own, and the outcome names the first that does not hold. That costs a second reading, of damaged backups only.
 *
 * @param decoder is not asked for the level `stored`.
 * @throws LifeboatError what keeps the backup from being looked at: `KEY_MISSING`, `WRONG_KEY`, `NOT_FOUND`, `READ_FAILED` ...
 */
export async function checkBackup(
	artifact: Artifact & { manifest: Manifest },
	level: VerificationLevel,
	decoder: Decoder,
	signal?: AbortSignal,
): Promise<VerificationOutcome> {
	const checks: [VerificationLevel, () => Promise<VerificationReport>][] = [
		['stored', () => verifyStored(artifact, signal)],
		['readable', () => verifyReadable(artifact, decoder, signal)],
		['complete', () => verifyComplete(artifact, decoder, signal)],
	];
	const last = checks.findIndex(([name]) => name === level);
	try {
		return { passed: true, report: await checks[last]![1]() };
	} catch (error) {
		if (signal?.aborted || !(error instanceof LifeboatError)) throw error;
		let proved: string[] = [];
		for (const [name, check] of checks.slice(0, last)) {
			try {
				({ proved } = await check());
			} catch (earlier) {
				if (isVerdict(earlier)) return { passed: false, level: name, error: earlier, proved };
				throw error;
			}
		}
		if (isVerdict(error)) return { passed: false, level, error, proved };
		throw error;
	}
}
