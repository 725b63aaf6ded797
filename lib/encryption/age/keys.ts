import {
	Encrypter,
	Decrypter,
	generateX25519Identity,
	identityToRecipient,
	type Identity,
	type Recipient,
} from 'age-encryption';

import { LifeboatError } from '../../errors';

import { sshIdentity, sshRecipient } from './ssh';
import { parseSshPrivateKey, parseSshPublicKey, sshPublicKeyText } from './ssh-keys';

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

/** A recipient as `parseRecipients` gives it, for the library. */
export function recipientFor(key: string): string | Recipient {
	return key.startsWith('ssh-') ? sshRecipient(parseSshPublicKey(key)) : key;
}

/** A secret key. */
export interface AgeIdentity {
	/** For the library. */
	readonly identity: string | Identity;
	/** The public key that belongs to it. */
	recipient(): Promise<string>;
}

const PRIVATE_KEY_BLOCK = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]*?-----END \1-----/g;

/** Reads texts with secret keys, such as whole key files of `age-keygen` or `ssh-keygen`. @throws as `parseRecipients`. */
export function parseIdentities(texts: readonly string[] = []): AgeIdentity[] {
	const ssh = texts.flatMap((text) => text.match(PRIVATE_KEY_BLOCK) ?? []).map(sshIdentityIn);
	const others = texts.map((text) => text.replaceAll(PRIVATE_KEY_BLOCK, '\n'));
	const native = new Set(keysIn(others, 'identity').map(({ key, line }) => checkIdentity(key, line)));
	return [
		...ssh,
		...[...native].map((identity) => ({ identity, recipient: () => identityToRecipient(identity) })),
	];
}

function sshIdentityIn(text: string): AgeIdentity {
	try {
		const key = parseSshPrivateKey(text);
		return { identity: sshIdentity(key), recipient: async () => sshPublicKeyText(key) };
	} catch (error) {
		if (error instanceof LifeboatError) throw error;
		// The error of a parser may repeat a part of the key, so it is no cause.
		throw new LifeboatError('INVALID_KEY', 'The SSH private key under Age Identity cannot be used', {
			hint: 'Copy it again, whole, with its BEGIN and END lines. age knows keys of the kinds Ed25519 and RSA (2048 bits or more)',
		});
	}
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
			.flatMap(({ key, line }) => keysInLine(key).map((one) => ({ key: one, line })));
	});
}

/** An SSH key has a comment behind it, which runs to the end of the line. */
function keysInLine(line: string): string[] {
	if (/^ssh-/.test(line)) return [line];
	return line.split(/[\s,]+/).filter((key) => key !== '');
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
	if (/^\s*(?:ecdsa|sk-ssh|sk-ecdsa)-/m.test(text)) {
		refuse('an SSH key of a kind that age does not know', 'Use a key of the kind ssh-ed25519 or ssh-rsa');
	}
	if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
		if (kind === 'identity') {
			throw new LifeboatError('INVALID_KEY', 'The SSH private key under Age Identity is not whole', {
				hint: 'Copy it again, with its BEGIN and END lines',
			});
		}
		throw new LifeboatError('INVALID_KEY', 'Age Recipients holds a private key', {
			hint: 'Fill in the public key that belongs to it (the file that ends in .pub). The private key belongs into Age Identity, and only where backups are decrypted',
		});
	}
	if (/^\s*AGE-PLUGIN-/im.test(text)) refuse('a key of an age plugin', instead);
}

function checkRecipient(given: string, line: number): string {
	if (given.startsWith('ssh-')) return checkSshRecipient(given, line);
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

function checkSshRecipient(given: string, line: number): string {
	try {
		return sshPublicKeyText(parseSshPublicKey(given));
	} catch {
		throw new LifeboatError(
			'INVALID_KEY',
			`The SSH public key in line ${line} of Age Recipients cannot be used`,
			{
				hint: 'Copy the whole line of the file that ends in .pub. age knows keys of the kinds Ed25519 and RSA (2048 bits or more)',
			},
		);
	}
}

function checkIdentity(given: string, line: number): string {
	const key = given.toUpperCase();
	if (key.startsWith('AGE1') || key.startsWith('SSH-')) {
		throw new LifeboatError('INVALID_KEY', `The age identity in line ${line} is a public key`, {
			hint: 'Fill in the secret key that belongs to it, which starts with AGE-SECRET-KEY-1 or -----BEGIN OPENSSH PRIVATE KEY-----. The public key belongs into Age Recipients',
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
