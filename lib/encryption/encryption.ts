import type { Duplex } from 'node:stream';

import type { EncryptionTransformation } from '../artifact/manifest';
import type { Encoding } from '../artifact/transform';
import { LifeboatError } from '../errors';

import { aesGcm } from './aes-gcm/aes-gcm';
import { age } from './age/age';
import type { OpenPgpKeys } from './openpgp/keys';
import { openpgp } from './openpgp/openpgp';

export { createAgeIdentity } from './age/keys';

/** What an operator has filled in. Only what an operation needs has to be there; blank texts count as not filled in. */
export interface EncryptionKeys {
	/** Public keys. Each text may hold several, one a line, with `#` comments. */
	recipients?: readonly string[];
	/** Secret keys. Each text may be a whole key file: several lines, with `#` comments. */
	identities?: readonly string[];
	passphrase?: string;
	/** Passphrases of older backups: they open, and never encrypt. */
	earlierPassphrases?: readonly string[];
	/** Keys for the format of that name, which has kinds of its own. */
	openpgp?: OpenPgpKeys;
}

/** Keys that encrypt. */
export type EncryptionTargets = Pick<EncryptionKeys, 'recipients' | 'passphrase' | 'openpgp'>;

/** The name of an encryption format. */
export type EncryptionName = EncryptionTransformation['format'];

export interface EncryptionOptions {
	/** How AES-256-GCM derives a key from a passphrase; PBKDF2 unless given. */
	kdf?: 'pbkdf2-sha256' | 'scrypt';
	/** Cost of PBKDF2. */
	pbkdf2Rounds?: number;
	/** Cost of scrypt: its N is two to this power. */
	scryptLogN?: number;
}

/** An encryption format. A new one is a file or folder beside this one and a line in `formats`. */
export interface EncryptionFormat {
	readonly name: EncryptionName;
	encoding(targets: EncryptionTargets, options: EncryptionOptions): Promise<Encoding>;
	decryptor(transformation: EncryptionTransformation, keys: EncryptionKeys): Promise<Duplex>;
}

const formats: readonly EncryptionFormat[] = [age, aesGcm, openpgp];

/**
 * The step that encrypts. Keys are checked here, before any data flows.
 *
 * @throws LifeboatError `KEY_MISSING` when no key is filled in, `INVALID_KEY` when one is malformed, `UNSUPPORTED_FORMAT`
 * when a key or the format is of a kind not known, `INVALID_OPTION` when keys or options exclude each other or are out of bounds.
 */
export async function encryptionEncoding(
	name: EncryptionName,
	targets: EncryptionTargets,
	options: EncryptionOptions = {},
): Promise<Encoding> {
	return formatNamed(name).encoding(targets, options);
}

/**
 * The transform that undoes an encryption. It releases only bytes that were authenticated, and ends only after the mark of
 * the last ones was seen; anything else fails with `DAMAGED`. Keys that don't fit fail with `WRONG_KEY` when data arrives.
 *
 * @throws LifeboatError `KEY_MISSING` when what opens it isn't filled in, `INVALID_KEY` when it is malformed, `UNSUPPORTED_FORMAT`.
 */
export async function decryptor(
	transformation: EncryptionTransformation,
	keys: EncryptionKeys,
): Promise<Duplex> {
	return formatNamed(transformation.format).decryptor(transformation, keys);
}

function formatNamed(name: string): EncryptionFormat {
	const format = formats.find((candidate) => candidate.name === name);
	if (!format) {
		throw new LifeboatError(
			'UNSUPPORTED_FORMAT',
			`This version of Lifeboat does not know the encryption ${name}`,
			{
				hint: `Known are ${formats.map((known) => known.name).join(' and ')}. Update n8n-nodes-lifeboat if the backup comes from a newer version`,
			},
		);
	}
	return format;
}
