import { createCipheriv, createHash, randomBytes } from 'node:crypto';

import type { Key, PrivateKey } from 'openpgp';

import { LifeboatError } from '../../errors';

import { fingerprintOf, openPgp } from './keys';
import { packet, Tag } from './packets';

/** A key that a message may be encrypted with, and the name of its cipher, such as `aes256`. */
export interface SessionKey {
	data: Uint8Array;
	algorithm: string | null;
}

/** Bytes that are hashed to derive a key from a passphrase: what OpenPGP allows at most, a twentieth of a second. */
export const S2K_COUNT = 65_011_712;

const S2K_COUNT_CODE = 255;

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
					hint: 'It may have expired, been revoked, or have no subkey for encryption. "gpg --list-keys" tells; export it again after it was renewed',
					cause: error,
				},
			);
		}
	}
	if (passphrase) packets.push(passphrasePacket(sessionKey, passphrase));
	return Buffer.concat(packets);
}

/** A version 4 packet (RFC 9580, section 5.3.1): AES-256, salted and iterated SHA-256. */
function passphrasePacket(sessionKey: Buffer, passphrase: string): Buffer {
	const salt = randomBytes(8);
	const [version, aes256, iterated, sha256] = [4, 9, 3, 8];
	const cipher = createCipheriv('aes-256-cfb', deriveKey(passphrase, salt), Buffer.alloc(16));
	const wrapped = cipher.update(Buffer.concat([Buffer.from([aes256]), sessionKey]));
	const head = Buffer.from([version, aes256, iterated, sha256, ...salt, S2K_COUNT_CODE]);
	return packet(Tag.passphraseSessionKey, Buffer.concat([head, wrapped]));
}

/** RFC 9580, section 3.7.1.3. */
function deriveKey(passphrase: string, salt: Buffer): Buffer {
	const unit = Buffer.concat([salt, Buffer.from(passphrase)]);
	const block = Buffer.concat(Array.from({ length: Math.ceil(65536 / unit.length) }, () => unit));
	const hash = createHash('sha256');
	for (let missing = Math.max(S2K_COUNT, unit.length); missing > 0; missing -= block.length) {
		hash.update(block.subarray(0, missing));
	}
	return hash.digest();
}

/**
 * The session keys that private keys and passphrases find in packets. A passphrase may find wrong ones: the data tells.
 *
 * @param packets as `wrapSessionKey` makes them.
 */
export async function unwrapSessionKeys(
	packets: Buffer,
	decryptionKeys: readonly PrivateKey[],
	passphrases: readonly string[],
): Promise<SessionKey[]> {
	const { readMessage, decryptSessionKeys } = await openPgp();
	const config = { maxArgon2MemoryExponent: MAX_ARGON2_EXPONENT };
	// The library reads whole messages only.
	const binaryMessage = Buffer.concat([packets, packet(Tag.encrypted, Buffer.alloc(40, 1))]);
	const attempts = [
		...(decryptionKeys.length > 0 ? [{ decryptionKeys: [...decryptionKeys] }] : []),
		...passphrases.map((passphrase) => ({ passwords: passphrase })),
	];
	const found: SessionKey[] = [];
	for (const attempt of attempts) {
		// The library throws when none fits, and when packets are malformed: either way they don't open the message.
		try {
			const message = await readMessage({ binaryMessage: new Uint8Array(binaryMessage), config });
			found.push(...(await decryptSessionKeys({ message, ...attempt, config })));
		} catch {
			continue;
		}
	}
	return found;
}
