import { LifeboatError } from '../../errors';
import { OpenStream, SealStream } from '../container';
import type { EncryptionFormat } from '../encryption';
import { passphrasesOf } from '../passphrases';

import { createHeader, headerReader } from './header';
import { chosenDerivation } from './kdf';

/**
 * AES-256-GCM with a password, in chunks that are authenticated one by one. A format of this package, since no standard tool
 * has one that never releases what it hasn't authenticated: docs/aes-256-gcm-format.md describes it byte by byte.
 */
export const aesGcm: EncryptionFormat = {
	name: 'aes-256-gcm',

	async encoding({ recipients = [], passphrase }, options) {
		if (recipients.some((text) => text.trim() !== '')) {
			throw new LifeboatError(
				'INVALID_OPTION',
				'AES-256-GCM encrypts with a passphrase, not for recipients',
				{
					hint: 'Choose age or OpenPGP to encrypt for recipients',
				},
			);
		}
		if (!passphrase) throw missing('There is nothing to encrypt with');
		const derivation = chosenDerivation(options);
		return {
			transformation: { type: 'encryption', format: 'aes-256-gcm', passphrase: derivation },
			extension: '.aes',
			async createTransform() {
				const { bytes, cipher } = await createHeader(passphrase, derivation);
				return new SealStream(bytes, cipher);
			},
		};
	},

	async decryptor(transformation, keys) {
		const passphrases = passphrasesOf(keys);
		if (passphrases.length === 0) {
			throw missing('The backup is encrypted with a passphrase, and none is filled in');
		}
		return new OpenStream(headerReader(passphrases, transformation));
	},
};

function missing(message: string): LifeboatError {
	return new LifeboatError('KEY_MISSING', message, {
		hint: 'Fill in Passphrase in the Backup Encryption Key credential',
	});
}
