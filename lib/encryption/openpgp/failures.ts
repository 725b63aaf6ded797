import { LifeboatError } from '../../errors';

import { fingerprintOf } from './keys';
import type { MessageKeys } from './open';

const credential = 'in the Backup Encryption Key credential';

/** @param recipients fingerprints or ids of the keys that would open it. */
export function keyMissing(
	needs: 'key' | 'passphrase' | 'either',
	recipients: readonly string[] = [],
): LifeboatError {
	if (needs === 'passphrase') {
		return new LifeboatError(
			'KEY_MISSING',
			'The backup is encrypted with a passphrase, and none is filled in',
			{
				hint: `Fill in Passphrase ${credential}`,
			},
		);
	}
	const fields = needs === 'key' ? 'OpenPGP Private Keys' : 'OpenPGP Private Keys, or Passphrase,';
	return new LifeboatError(
		'KEY_MISSING',
		'The backup is encrypted with OpenPGP, and no key that opens it is filled in',
		{
			hint: `Fill in ${fields} ${credential}${belongingTo(recipients)}`,
		},
	);
}

/** @param keyIds of the keys that the message itself names. */
export function wrongKey(
	{ decryptionKeys, passphrases, recipients }: MessageKeys,
	keyIds: readonly string[],
	forPassphrase: boolean,
): LifeboatError {
	if (keyIds.length === 0) {
		return new LifeboatError(
			'WRONG_KEY',
			passphrases.length === 1
				? 'The passphrase does not open the backup'
				: `None of the ${passphrases.length} passphrases opens the backup`,
			{ hint: `Check Passphrase ${credential}: it must be the one the backup was encrypted with` },
		);
	}
	const offered = decryptionKeys.map(fingerprintOf);
	const tried = [
		...(offered.length > 0 ? [`the private key ${offered.slice(0, 3).join(', ')}`] : []),
		...(forPassphrase && passphrases.length > 0 ? ['the passphrase'] : []),
	];
	return new LifeboatError('WRONG_KEY', `The backup is not opened by ${tried.join(' nor by ')}`, {
		hint: `Check OpenPGP Private Keys ${credential}${belongingTo(recipients ?? keyIds)}`,
	});
}

function belongingTo(recipients: readonly string[]): string {
	if (recipients.length === 0) return '';
	const more = recipients.length > 3 ? ` or one of ${recipients.length - 3} more` : '';
	return `: it must be ${recipients.slice(0, 3).join(' or ')}${more}`;
}
