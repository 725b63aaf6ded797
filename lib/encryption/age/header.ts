import { hkdfSync, randomBytes } from 'node:crypto';

import { Decrypter, Encrypter, type Recipient, type Stanza } from 'age-encryption';

import type { EncryptionTransformation } from '../../artifact/manifest';
import { LifeboatError } from '../../errors';
import { payloadCipher, TAG_SIZE, type PayloadCipher } from '../chunks';
import type { HeaderReader } from '../container';
import { damaged } from '../failures';

import { keyMissing, wrongKey } from './failures';
import { MAX_RECIPIENTS, recipientFor, type AgeIdentity } from './keys';
import { MAX_LOG_N, scryptIdentity } from './scrypt';

const VERSION_LINE = 'age-encryption.org/v1\n';

/** Far above what the most recipients of the largest kind need, far below what could hurt. */
const MAX_HEADER_LENGTH = 512 * 1024;

const PAYLOAD_NONCE_SIZE = 16;

/** A header for a new file, with the nonce of the payload behind it, and the payload's key. */
export async function createHeader(
	recipients: readonly (string | Recipient)[],
): Promise<{ bytes: Buffer; cipher: PayloadCipher }> {
	const encrypter = new Encrypter();
	let fileKey: Uint8Array = new Uint8Array(0);
	// Adds no stanza: it is there to learn the file key, from which the payload's own key is derived below.
	encrypter.addRecipient({
		wrapFileKey(key) {
			fileKey = key;
			return [];
		},
	});
	for (const recipient of recipients) {
		encrypter.addRecipient(typeof recipient === 'string' ? recipientFor(recipient) : recipient);
	}
	const emptyFile = await encrypter.encrypt(new Uint8Array(0)).catch((error: unknown) => {
		if (error instanceof LifeboatError) throw error;
		// Said without the library's error, which may repeat a key.
		throw new LifeboatError('INVALID_KEY', 'One of the age recipients cannot be encrypted for', {
			hint: 'It looks like a recipient but is no usable public key. Make a key pair with age-keygen, and use that',
		});
	});
	const header = emptyFile.subarray(0, emptyFile.length - PAYLOAD_NONCE_SIZE - TAG_SIZE);
	const nonce = randomBytes(PAYLOAD_NONCE_SIZE);
	return { bytes: Buffer.concat([header, nonce]), cipher: cipherOf(fileKey, nonce) };
}

export interface HeaderKeys {
	identities: readonly AgeIdentity[];
	passphrases: readonly string[];
	/** What the manifest says. */
	transformation: EncryptionTransformation;
}

/** Reads the header of a file and finds the key that opens it. */
export function headerReader(keys: HeaderKeys): HeaderReader {
	return {
		async read(start, ended) {
			checkBeginning(start, ended);
			const end = endOfHeader(start);
			const length = end === undefined ? undefined : end + PAYLOAD_NONCE_SIZE;
			if (end !== undefined && length !== undefined && length <= start.length) {
				const fileKey = await openHeader(start.subarray(0, end), keys);
				return { length, cipher: cipherOf(fileKey, start.subarray(end, length)) };
			}
			if (ended) throw damaged('ends within its header');
			if (start.length > MAX_HEADER_LENGTH) throw damaged('has a header larger than any that is accepted');
			return undefined;
		},
	};
}

/** Refuses what isn't an age v1 file as soon as its first bytes tell. */
function checkBeginning(start: Buffer, ended: boolean): void {
	if (ended && start.length === 0) throw damaged('is empty');
	const first = start.toString('latin1', 0, 40);
	if (VERSION_LINE.startsWith(first.slice(0, VERSION_LINE.length))) return;
	const version = /^age-encryption\.org\/(v\d{1,9})\n/.exec(first)?.[1];
	if (version !== undefined) {
		throw new LifeboatError(
			'UNSUPPORTED_FORMAT',
			`The data is encrypted with age ${version}; age v1 is known`,
			{
				hint: 'Decrypt it with the age command, or update n8n-nodes-lifeboat',
			},
		);
	}
	const lineIsOnItsWay = !ended && /^age-encryption\.org\/v\d{1,9}$/.test(first);
	if (!lineIsOnItsWay) throw damaged('does not start as an age file does');
}

/** Where the header ends: behind the line that starts with `---`, which no other line of it can. */
function endOfHeader(start: Buffer): number | undefined {
	const footer = start.indexOf('\n---');
	const end = footer === -1 ? -1 : start.indexOf('\n', footer + 1);
	return end === -1 || end > MAX_HEADER_LENGTH ? undefined : end + 1;
}

async function openHeader(header: Buffer, keys: HeaderKeys): Promise<Uint8Array> {
	const { identities, passphrases, transformation } = keys;
	const decrypter = new Decrypter();
	let forPassphrase = false;
	// The library asks one identity after the other: the first of ours only looks, the last one knows that none fitted.
	decrypter.addIdentity({
		unwrapFileKey(stanzas: Stanza[]) {
			forPassphrase = checkStanzas(stanzas, keys);
			return null;
		},
	});
	const { passphrase: said } = transformation;
	// A manifest is no more to be trusted than the file beside it.
	const maxLogN = Math.min(MAX_LOG_N, said?.kdf === 'scrypt' ? said.logN : MAX_LOG_N);
	for (const passphrase of passphrases) decrypter.addIdentity(scryptIdentity(passphrase, maxLogN));
	for (const { identity } of identities) decrypter.addIdentity(identity);
	decrypter.addIdentity({
		async unwrapFileKey() {
			const offered = await Promise.all(identities.map((identity) => identity.recipient()));
			throw wrongKey(forPassphrase ? passphrases.length : offered, transformation.recipients);
		},
	});
	try {
		return await decrypter.decryptHeader(header);
	} catch (error) {
		if (error instanceof LifeboatError) throw error;
		throw damaged('has a malformed header, or one that was changed', error);
	}
}

/** @returns whether a passphrase opens the file. */
function checkStanzas(stanzas: readonly Stanza[], keys: HeaderKeys): boolean {
	if (stanzas.length > MAX_RECIPIENTS) {
		throw damaged(
			`has a header for ${stanzas.length} recipients, more than the ${MAX_RECIPIENTS} that are accepted`,
		);
	}
	const forPassphrase = stanzas.some(({ args }) => args[0] === 'scrypt');
	if (forPassphrase && stanzas.length > 1)
		throw damaged('mixes a passphrase with recipients, which age forbids');
	const { recipients, passphrase } = keys.transformation;
	if (forPassphrase ? recipients?.length : passphrase) {
		throw damaged('has a header other than the one its manifest describes');
	}
	if (forPassphrase && keys.passphrases.length === 0) throw keyMissing('passphrase');
	if (!forPassphrase && keys.identities.length === 0) throw keyMissing('identity', recipients);
	return forPassphrase;
}

function cipherOf(fileKey: Uint8Array, nonce: Uint8Array): PayloadCipher {
	return payloadCipher('chacha20-poly1305', hkdfSync('sha256', fileKey, nonce, 'payload', 32));
}
