import type { EncryptionTransformation } from '../../artifact/manifest';
import type { Encoding } from '../../artifact/transform';
import { LifeboatError } from '../../errors';
import { OpenStream, SealStream } from '../container';
import type { EncryptionFormat } from '../encryption';
import { passphrasesOf } from '../passphrases';

import { Dearmor } from './armor';
import { keyMissing } from './failures';
import { createHeader, headerReader } from './header';
import { parseIdentities, parseRecipients, type AgeIdentity } from './keys';
import { DEFAULT_LOG_N, MAX_LOG_N, MIN_LOG_N, scryptRecipient } from './scrypt';

/**
 * age v1 (https://age-encryption.org/v1): opened by `age -d`. The header is the library's, the payload node:crypto's, which
 * is several times faster.
 */
export const age: EncryptionFormat = {
	name: 'age',

	async encoding(targets, { scryptLogN = DEFAULT_LOG_N }) {
		const recipients = parseRecipients(targets.recipients);
		const { passphrase } = targets;
		if (recipients.length > 0 && passphrase) {
			throw new LifeboatError(
				'INVALID_OPTION',
				'age encrypts for recipients or with a passphrase, not both',
				{
					hint: 'Choose one of them. Recipients are the better choice for backups that run unattended',
				},
			);
		}
		if (recipients.length > 0) {
			// A key that can't be used should fail now, not after hours of a dump.
			await createHeader(recipients);
			return encoding({ type: 'encryption', format: 'age', recipients }, () => createHeader(recipients));
		}
		if (!passphrase) {
			throw new LifeboatError('KEY_MISSING', 'There is nothing to encrypt with', {
				hint: 'Fill in Age Recipients, or Passphrase, in the Backup Encryption Key credential',
			});
		}
		if (!Number.isInteger(scryptLogN) || scryptLogN < MIN_LOG_N || scryptLogN > MAX_LOG_N) {
			throw new LifeboatError('INVALID_OPTION', `${scryptLogN} is not a work factor for scrypt`, {
				hint: `Choose a whole number from ${MIN_LOG_N} to ${MAX_LOG_N}; ${DEFAULT_LOG_N} is the default`,
			});
		}
		return encoding(
			{ type: 'encryption', format: 'age', passphrase: { kdf: 'scrypt', logN: scryptLogN } },
			() => createHeader([scryptRecipient(passphrase, scryptLogN)]),
		);
	},

	async decryptor(transformation, keys) {
		const identities = parseIdentities(keys.identities);
		const passphrases = passphrasesOf(keys);
		requireKeys(transformation, passphrases, identities);
		return new OpenStream({
			...headerReader({ identities, passphrases, transformation }),
			filter: new Dearmor(),
		});
	},
};

function encoding(
	transformation: EncryptionTransformation,
	header: () => ReturnType<typeof createHeader>,
): Encoding {
	return {
		transformation,
		extension: '.age',
		async createTransform() {
			const { bytes, cipher } = await header();
			return new SealStream(bytes, cipher);
		},
	};
}

/** Says before any data is read what will be missing, as far as the manifest tells. */
function requireKeys(
	transformation: EncryptionTransformation,
	passphrases: readonly string[],
	identities: readonly AgeIdentity[],
): void {
	const needs = transformation.recipients?.length
		? 'identity'
		: transformation.passphrase
			? 'passphrase'
			: 'either';
	if (needs !== 'passphrase' && identities.length > 0) return;
	if (needs !== 'identity' && passphrases.length > 0) return;
	throw keyMissing(needs, transformation.recipients);
}
