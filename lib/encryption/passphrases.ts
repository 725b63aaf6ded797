import type { EncryptionKeys } from './encryption';

/** The passphrases that may open a backup, the likeliest first. */
export function passphrasesOf({ passphrase, earlierPassphrases = [] }: EncryptionKeys): string[] {
	return [...new Set([passphrase ?? '', ...earlierPassphrases])].filter((each) => each !== '');
}
