import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';

import { LifeboatError } from '../../errors';
import type { EncryptionOptions } from '../encryption';
import { scryptKey } from '../scrypt';

/** How a password becomes a key. */
export type KeyDerivation = { kdf: 'pbkdf2-sha256'; rounds: number } | { kdf: 'scrypt'; logN: number };

/** What OWASP asks of PBKDF2 with SHA-256: about a fifth of a second. */
export const DEFAULT_ROUNDS = 600_000;

/** Below it a password is guessed too easily. */
export const MIN_ROUNDS = 100_000;

/** About three seconds; what asks for more was made to keep a machine busy. */
export const MAX_ROUNDS = 10_000_000;

/** N = 2^17, which OWASP asks for: 128 MiB. */
export const DEFAULT_LOG_N = 17;

export const MIN_LOG_N = 10;

/** 1 GiB. */
export const MAX_LOG_N = 20;

const runPbkdf2 = promisify(pbkdf2);

/** The derivation that options ask for. @throws LifeboatError `INVALID_OPTION` when its cost is out of bounds. */
export function chosenDerivation({ kdf, pbkdf2Rounds, scryptLogN }: EncryptionOptions): KeyDerivation {
	const derivation: KeyDerivation =
		kdf === 'scrypt'
			? { kdf, logN: scryptLogN ?? DEFAULT_LOG_N }
			: { kdf: 'pbkdf2-sha256', rounds: pbkdf2Rounds ?? DEFAULT_ROUNDS };
	if (isBounded(derivation)) return derivation;
	throw derivation.kdf === 'scrypt'
		? new LifeboatError('INVALID_OPTION', `${derivation.logN} is not a work factor for scrypt`, {
				hint: `Choose a whole number from ${MIN_LOG_N} to ${MAX_LOG_N}; ${DEFAULT_LOG_N} is the default`,
			})
		: new LifeboatError('INVALID_OPTION', `${derivation.rounds} is not a number of rounds for PBKDF2`, {
				hint: `Choose a whole number from ${MIN_ROUNDS} to ${MAX_ROUNDS}; ${DEFAULT_ROUNDS} is the default`,
			});
}

/** Whether a derivation is neither too cheap nor too costly. */
export function isBounded(derivation: KeyDerivation): boolean {
	const [cost, least, most] =
		derivation.kdf === 'scrypt'
			? [derivation.logN, MIN_LOG_N, MAX_LOG_N]
			: [derivation.rounds, MIN_ROUNDS, MAX_ROUNDS];
	return Number.isInteger(cost) && cost >= least && cost <= most;
}

/** 32 bytes from a password, on the thread pool. The derivation must be bounded. @throws LifeboatError `OUT_OF_MEMORY`. */
export async function deriveKey(password: string, salt: Buffer, derivation: KeyDerivation): Promise<Buffer> {
	if (derivation.kdf === 'pbkdf2-sha256') {
		return runPbkdf2(password, salt, derivation.rounds, 32, 'sha256');
	}
	return scryptKey(password, salt, derivation.logN);
}
