import { Encrypter, Decrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';

import { LifeboatError } from '../../errors';

/** More would make headers that readers refuse. */
export const MAX_RECIPIENTS = 256;

/** A new X25519 key pair. The identity is secret: show it once, never store it in a manifest, a log or an item's JSON. */
export async function createAgeIdentity(): Promise<{ identity: string; recipient: string }> {
	const identity = await generateX25519Identity();
	return { identity, recipient: await identityToRecipient(identity) };
}

/**
 * Reads texts with public keys, one or more in each; blank lines and `#` comments are skipped, repetitions removed.
 *
 * @throws LifeboatError `INVALID_KEY`, `UNSUPPORTED_FORMAT` or `INVALID_OPTION`, none of which repeats what was given: it may be a
 * secret in the wrong field.
 */
export function parseRecipients(texts: readonly string[] = []): string[] {
	const keys = [...new Set(keysIn(texts, 'recipient').map(({ key, line }) => checkRecipient(key, line)))];
	if (keys.length > MAX_RECIPIENTS) {
		throw new LifeboatError('INVALID_OPTION', `${keys.length} age recipients are too many`, {
			hint: `Give at most ${MAX_RECIPIENTS}`,
		});
	}
	return keys;
}

/** Reads texts with secret keys, such as whole key files of `age-keygen`. @throws as `parseRecipients`. */
export function parseIdentities(texts: readonly string[] = []): string[] {
	return [...new Set(keysIn(texts, 'identity').map(({ key, line }) => checkIdentity(key, line)))];
}

interface GivenKey {
	key: string;
	/** From 1, within its text. */
	line: number;
}

function keysIn(texts: readonly string[], kind: 'recipient' | 'identity'): GivenKey[] {
	return texts.flatMap((text) => {
		refuseForeignKeys(text, kind);
		return unfold(text)
			.split(/\r?\n|\r/)
			.map((key, index) => ({ key: key.trim(), line: index + 1 }))
			.filter(({ key }) => key !== '' && !key.startsWith('#'))
			.flatMap(({ key, line }) => key.split(/[\s,]+/).map((one) => ({ key: one, line })))
			.filter(({ key }) => key !== '');
	});
}

/** A password field of a browser drops the line breaks of a pasted key file: they come back before what starts a line. */
function unfold(text: string): string {
	if (/[\r\n]/.test(text.trim())) return text;
	return text.replaceAll(/(?=AGE-SECRET-KEY-|AGE-PLUGIN-|#)/g, '\n').trim();
}

function refuseForeignKeys(text: string, kind: 'recipient' | 'identity'): void {
	const refuse = (what: string, hint: string): never => {
		throw new LifeboatError('UNSUPPORTED_FORMAT', `The age ${kind} is ${what}, which is not supported`, {
			hint,
		});
	};
	const instead = 'Make a key pair with age-keygen, or with the operation Create Key, and use that';
	if (/-----BEGIN AGE ENCRYPTED FILE-----/.test(text)) {
		refuse(
			'a key file that is itself encrypted',
			'Decrypt the key file with the age command, and fill in what it holds',
		);
	}
	if (/-----BEGIN [A-Z ]*PRIVATE KEY-----|^\s*(?:ssh|ecdsa|sk-ssh)-/m.test(text))
		refuse('an SSH key', instead);
	if (/^\s*AGE-PLUGIN-/im.test(text)) refuse('a key of an age plugin', instead);
}

function checkRecipient(given: string, line: number): string {
	const key = given.toLowerCase();
	if (key.startsWith('age-secret-key-')) {
		throw new LifeboatError('INVALID_KEY', `The age recipient in line ${line} is a secret key`, {
			hint: 'Fill in the public key that belongs to it, which starts with age1. The secret key belongs into Age Identity, and only where backups are decrypted',
		});
	}
	// The library knows these prefixes; the name of a plugin stands between the first two ones: age1yubikey1...
	if (/^age1[a-z0-9-]{2,}1/.test(key) && !/^age1(?:pq|tag|tagpq)1/.test(key)) {
		throw new LifeboatError(
			'UNSUPPORTED_FORMAT',
			`The age recipient in line ${line} belongs to an age plugin, which is not supported`,
			{ hint: 'Make a key pair with age-keygen, or with the operation Create Key, and use that' },
		);
	}
	try {
		new Encrypter().addRecipient(key);
		return key;
	} catch {
		// The library's error may repeat the key, so it is no cause.
		throw new LifeboatError('INVALID_KEY', `The age recipient in line ${line} is malformed`, {
			hint: 'A recipient starts with age1 and has 62 characters. Copy it again, whole, from the line "public key" of the key file',
		});
	}
}

function checkIdentity(given: string, line: number): string {
	const key = given.toUpperCase();
	if (key.startsWith('AGE1')) {
		throw new LifeboatError('INVALID_KEY', `The age identity in line ${line} is a public key`, {
			hint: 'Fill in the secret key that belongs to it, which starts with AGE-SECRET-KEY-1. The public key belongs into Age Recipients',
		});
	}
	try {
		new Decrypter().addIdentity(key);
		return key;
	} catch {
		throw new LifeboatError('INVALID_KEY', `The age identity in line ${line} is malformed`, {
			hint: 'An identity starts with AGE-SECRET-KEY-1 and has 74 characters. Copy it again, whole, from the key file',
		});
	}
}
