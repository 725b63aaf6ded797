import { LifeboatError } from '../../errors';

const credential = 'in the Backup Encryption Key credential';

/** @param recipients as the manifest lists them. */
export function keyMissing(
	needs: 'identity' | 'passphrase' | 'either',
	recipients?: readonly string[],
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
	if (needs === 'either') {
		return new LifeboatError('KEY_MISSING', 'The backup is encrypted, and no key is filled in', {
			hint: `Fill in Age Identity, or Passphrase, ${credential}`,
		});
	}
	return new LifeboatError(
		'KEY_MISSING',
		'The backup is encrypted for age recipients, and no identity is filled in',
		{ hint: `Fill in Age Identity ${credential}${belongingTo(recipients)}` },
	);
}

/**
 * @param offered the public keys of the identities that were tried, or how many passphrases were.
 * @param recipients as the manifest lists them.
 */
export function wrongKey(offered: readonly string[] | number, recipients?: readonly string[]): LifeboatError {
	if (typeof offered === 'number') {
		return new LifeboatError(
			'WRONG_KEY',
			offered === 1
				? 'The passphrase does not open the backup'
				: `None of the ${offered} passphrases opens the backup`,
			{ hint: `Check Passphrase ${credential}: it must be the one the backup was encrypted with` },
		);
	}
	const more = offered.length > 3 ? ` and ${offered.length - 3} more` : '';
	return new LifeboatError(
		'WRONG_KEY',
		`None of the age identities opens the backup; tried were those of ${offered.slice(0, 3).map(shortened).join(', ')}${more}`,
		{
			hint: `Check Age Identity ${credential}${belongingTo(recipients) || ': it must belong to one of the recipients the backup was encrypted for'}`,
		},
	);
}

function belongingTo(recipients: readonly string[] = []): string {
	if (recipients.length === 0) return '';
	const named = recipients.slice(0, 3).map(shortened).join(' or ');
	const more = recipients.length > 3 ? ` or one of ${recipients.length - 3} more` : '';
	return `: it must belong to ${named}${more}`;
}

/** A post-quantum recipient has 2,000 characters; the end of an SSH key is what tells it from others. */
function shortened(recipient: string): string {
	return recipient.length > 85 ? `${recipient.slice(0, 40)}…${recipient.slice(-20)}` : recipient;
}
