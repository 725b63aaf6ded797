import type * as OpenPgp from 'openpgp';
import type { Key, PrivateKey } from 'openpgp';

import { LifeboatError } from '../../errors';

/** What an operator has filled in for OpenPGP. Each text may hold several keys, in ASCII armour. */
export interface OpenPgpKeys {
	/** Keys that backups are encrypted for, and that signatures are checked with. */
	publicKeys?: readonly string[];
	/** Keys that open backups. */
	privateKeys?: readonly string[];
	/** Keys that sign backups. */
	signingKeys?: readonly string[];
	/** What the private and signing keys are locked with. */
	keyPassphrase?: string;
}

/** More would make headers that readers refuse. */
export const MAX_PUBLIC_KEYS = 64;

/** Loaded only where it is used: it is large. */
export async function openPgp(): Promise<typeof OpenPgp> {
	return import('openpgp');
}

/** 40 hexadecimal digits, upper case, as `gpg` shows them. */
export function fingerprintOf(key: Key): string {
	return key.getFingerprint().toUpperCase();
}

/** @throws LifeboatError `INVALID_KEY`, `UNSUPPORTED_FORMAT` or `INVALID_OPTION`, none of which repeats what was given. */
export async function parsePublicKeys(texts: readonly string[] = []): Promise<Key[]> {
	const keys = await keysIn(texts, 'OpenPGP Public Keys', 'PUBLIC');
	for (const key of keys) {
		if (key.keyPacket.version === 4) continue;
		throw new LifeboatError(
			'UNSUPPORTED_FORMAT',
			`The OpenPGP key ${fingerprintOf(key)} is of version ${key.keyPacket.version}, which gpg can't open backups with`,
			{ hint: 'Use a key of version 4, as "gpg --full-generate-key" makes it' },
		);
	}
	if (keys.length > MAX_PUBLIC_KEYS) {
		throw new LifeboatError('INVALID_OPTION', `${keys.length} OpenPGP keys are too many`, {
			hint: `Give at most ${MAX_PUBLIC_KEYS}`,
		});
	}
	return keys;
}

/** As `parsePublicKeys`; the keys are unlocked. @throws also `WRONG_KEY` when the passphrase doesn't unlock one. */
export async function parsePrivateKeys(
	texts: readonly string[] = [],
	field: string,
	passphrase?: string,
): Promise<PrivateKey[]> {
	const keys: PrivateKey[] = [];
	for (const key of await keysIn(texts, field, 'PRIVATE'))
		keys.push(await unlock(key as PrivateKey, field, passphrase));
	return keys;
}

/** The public parts of private keys, which may stay locked. @throws as `parsePublicKeys`. */
export async function publicPartsOf(texts: readonly string[] = [], field: string): Promise<Key[]> {
	return (await keysIn(texts, field, 'PRIVATE')).map((key) => key.toPublic());
}

async function unlock(key: PrivateKey, field: string, passphrase: string | undefined): Promise<PrivateKey> {
	if (key.isDecrypted()) return key;
	const which = `${field}: the key ${fingerprintOf(key)}`;
	if (!passphrase) {
		throw new LifeboatError('KEY_MISSING', `${which} is locked with a passphrase, and none is filled in`, {
			hint: 'Fill in OpenPGP Key Passphrase in the Backup Encryption Key credential',
		});
	}
	const { decryptKey } = await openPgp();
	try {
		return await decryptKey({ privateKey: key, passphrase, config: { maxArgon2MemoryExponent: 18 } });
	} catch {
		throw new LifeboatError('WRONG_KEY', `${which} is not unlocked by the OpenPGP Key Passphrase`, {
			hint: 'Check OpenPGP Key Passphrase in the Backup Encryption Key credential',
		});
	}
}

async function keysIn(texts: readonly string[], field: string, kind: 'PUBLIC' | 'PRIVATE'): Promise<Key[]> {
	const { readKeys } = await openPgp();
	const keys = new Map<string, Key>();
	for (const text of texts.filter((each) => each.trim() !== '')) {
		const blocks = text.match(/-----BEGIN PGP [A-Z ]+-----[\s\S]*?-----END PGP [A-Z ]+-----/g) ?? [];
		if (blocks.length === 0) throw malformed(field, kind);
		for (const block of blocks) {
			const armoredKeys = unfold(block);
			const found = await readKeys({ armoredKeys }).catch(() => {
				// Said without the library's error, which may repeat what was given.
				throw malformed(field, kind);
			});
			for (const key of found) keys.set(fingerprintOf(key), checked(key, field, kind));
		}
	}
	return [...keys.values()];
}

function checked(key: Key, field: string, kind: 'PUBLIC' | 'PRIVATE'): Key {
	if (kind === 'PUBLIC' && key.isPrivate()) {
		throw new LifeboatError('INVALID_KEY', `${field}: the key ${fingerprintOf(key)} is a private key`, {
			hint: 'Fill in what "gpg --armor --export" prints. The private key belongs into OpenPGP Private Keys, and only where backups are decrypted',
		});
	}
	if (kind === 'PRIVATE' && !key.isPrivate()) {
		throw new LifeboatError('INVALID_KEY', `${field}: the key ${fingerprintOf(key)} is a public key`, {
			hint: 'Fill in what "gpg --armor --export-secret-keys" prints',
		});
	}
	return key;
}

function malformed(field: string, kind: 'PUBLIC' | 'PRIVATE'): LifeboatError {
	return new LifeboatError('INVALID_KEY', `${field} holds something that is no OpenPGP key`, {
		hint: `Copy it again, whole, from "-----BEGIN PGP ${kind} KEY BLOCK-----" to "-----END PGP ${kind} KEY BLOCK-----", as "gpg --armor --export${kind === 'PRIVATE' ? '-secret-keys' : ''}" prints it`,
	});
}

/** A password field of a browser drops the line breaks of a pasted key: they come back. */
function unfold(block: string): string {
	if (/-----\r?\n/.test(block)) return block;
	const [, begin = '', body = '', end = ''] =
		/^(-----BEGIN [A-Z ]+-----)([\s\S]*)(-----END [A-Z ]+-----)$/.exec(block) ?? [];
	const base64 = body.replaceAll(/\s+/g, '');
	const [, data = '', checksum = ''] = /^([A-Za-z0-9+/]+={0,2}?)(=[A-Za-z0-9+/]{4})?$/.exec(base64) ?? [];
	return [begin, '', ...(data.match(/.{1,64}/g) ?? []), ...(checksum ? [checksum] : []), end, ''].join('\n');
}
