import type { Key, PrivateKey } from 'openpgp';

import { LifeboatError } from '../../errors';
import { damaged } from '../failures';

import { argon2Work, MAX_ARGON2_WORK } from './argon2-work';
import { isCanonical } from './canonical';
import { fingerprintOf, openPgp } from './keys';
import { packet, Tag } from './packets';
import { passphrasePacket, sessionKeyIn } from './passphrase-key';

/** A key that a message may be encrypted with, and the name of its cipher, such as `aes256`. */
export interface SessionKey {
	data: Uint8Array;
	algorithm: string | null;
}

/** A packet that holds a session key, encrypted. */
export interface SessionKeyPacket {
	tag: number;
	body: Buffer;
}

/** Far above what a key derivation of ours needs: 64 MiB. */
const MAX_ARGON2_EXPONENT = 16;

/** The packets that tell each key and the passphrase the session key. */
export async function wrapSessionKey(
	sessionKey: Buffer,
	publicKeys: readonly Key[],
	passphrase: string | undefined,
): Promise<Buffer> {
	const packets: Uint8Array[] = [];
	const { encryptSessionKey } = await openPgp();
	for (const key of publicKeys) {
		try {
			packets.push(
				await encryptSessionKey({
					data: sessionKey,
					algorithm: 'aes256',
					encryptionKeys: key,
					format: 'binary',
				}),
			);
		} catch (error) {
			throw new LifeboatError(
				'INVALID_KEY',
				`The OpenPGP key ${fingerprintOf(key)} cannot be encrypted for`,
				{
					hint: 'It may have expired, been revoked, or have no subkey for encryption: "gpg --list-keys" tells; export it again after it was renewed. Or it is of a kind that is not supported: use one of RSA, Curve25519, NIST P-256, P-384 or P-521',
					cause: error,
				},
			);
		}
	}
	if (passphrase) packets.push(await passphrasePacket(sessionKey, passphrase));
	return Buffer.concat(packets);
}

/**
 * The session keys that private keys and passphrases find in packets. A passphrase may find wrong ones: the data tells.
 *
 * @param packets of the kinds that `wrapSessionKey` makes.
 * @throws LifeboatError `DAMAGED` if nothing opens the message, and what might costs too much.
 */
export async function unwrapSessionKeys(
	packets: readonly SessionKeyPacket[],
	decryptionKeys: readonly PrivateKey[],
	passphrases: readonly string[],
): Promise<SessionKey[]> {
	const { readMessage, decryptSessionKeys } = await openPgp();
	const config = { maxArgon2MemoryExponent: MAX_ARGON2_EXPONENT };
	const found: SessionKey[] = [];
	const left: Buffer[] = [];
	let budget = MAX_ARGON2_WORK;
	let isTooCostly = false;
	for (const { tag, body } of packets) {
		if (tag === Tag.publicKeySessionKey && !isCanonical(body)) continue;
		const work = tag === Tag.passphraseSessionKey ? argon2Work(body) : 0;
		if (work > budget) {
			isTooCostly = true;
			continue;
		}
		budget -= work;
		let isKnown = tag === Tag.passphraseSessionKey;
		for (const passphrase of isKnown ? passphrases : []) {
			const sessionKey = await sessionKeyIn(body, passphrase);
			if (sessionKey) found.push(sessionKey);
			isKnown = sessionKey !== undefined;
		}
		if (!isKnown) left.push(packet(tag, body));
	}
	// The library reads whole messages only.
	const binaryMessage = Buffer.concat([...left, packet(Tag.encrypted, Buffer.alloc(40, 1))]);
	const attempts = [
		...(decryptionKeys.length > 0 ? [{ decryptionKeys: [...decryptionKeys] }] : []),
		...passphrases.map((passphrase) => ({ passwords: passphrase })),
	];
	for (const attempt of left.length > 0 ? attempts : []) {
		// The library throws when none fits, and when packets are malformed: either way they don't open the message.
		try {
			const message = await readMessage({ binaryMessage: new Uint8Array(binaryMessage), config });
			found.push(...(await decryptSessionKeys({ message, ...attempt, config })));
		} catch {
			continue;
		}
	}
	if (found.length === 0 && isTooCostly)
		throw damaged('asks for more work to derive its key from the passphrase than is accepted');
	return found;
}
