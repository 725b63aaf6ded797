import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';

import { packet, Tag } from './packets';
import type { SessionKey } from './session-key';

/** Bytes that are hashed to derive a key from a passphrase: what OpenPGP allows at most, a twentieth of a second. */
export const S2K_COUNT = 65_011_712;

const S2K_COUNT_CODE = 255;

/** What is hashed between two turns of the event loop. */
const HASHED_AT_ONCE = 8 * 1024 * 1024;

/** Ids of RFC 9580, sections 9.3 and 9.5. */
const aesKeyLengths = new Map([
	[7, 16],
	[8, 24],
	[9, 32],
]);
const hashes = new Map([
	[2, 'sha1'],
	[8, 'sha256'],
	[9, 'sha384'],
	[10, 'sha512'],
	[11, 'sha224'],
]);

/** How a key is made from a passphrase by the salted and iterated way (RFC 9580, section 3.7.1.3). */
interface Derivation {
	hash: string;
	salt: Buffer;
	/** Bytes to hash. */
	count: number;
}

/** A version 4 packet (RFC 9580, section 5.3.1) that tells a passphrase the session key: AES-256, salted and iterated SHA-256. */
export async function passphrasePacket(sessionKey: Buffer, passphrase: string): Promise<Buffer> {
	const salt = randomBytes(8);
	const [version, aes256, iterated, sha256] = [4, 9, 3, 8];
	const key = await deriveKey(passphrase, { hash: 'sha256', salt, count: S2K_COUNT }, 32);
	const cipher = createCipheriv('aes-256-cfb', key, Buffer.alloc(16));
	const wrapped = cipher.update(Buffer.concat([Buffer.from([aes256]), sessionKey]));
	const head = Buffer.from([version, aes256, iterated, sha256, ...salt, S2K_COUNT_CODE]);
	return packet(Tag.passphraseSessionKey, Buffer.concat([head, wrapped]));
}

/**
 * What a passphrase finds in the body of such a packet: a session key, which the data shows to be right or wrong, or null where it surely is a
 * wrong one. In little memory, unlike the library, which builds all that is hashed first.
 *
 * @returns undefined for packets of other kinds.
 */
export async function sessionKeyIn(body: Buffer, passphrase: string): Promise<SessionKey | null | undefined> {
	const [version, cipher, derivation, hashId] = body;
	const keyLength = aesKeyLengths.get(cipher ?? 0);
	const hash = hashes.get(hashId ?? 0);
	if (version !== 4 || derivation !== 3 || !keyLength || !hash || body.length < 13) return undefined;
	const code = body[12]!;
	const count = (16 + (code & 15)) << ((code >> 4) + 6);
	const key = await deriveKey(passphrase, { hash, salt: body.subarray(4, 12), count }, keyLength);
	// Where no key stands in it, what the passphrase derives is the session key itself: so gpg does it for a passphrase alone.
	if (body.length === 13) return { data: Uint8Array.from(key), algorithm: `aes${keyLength * 8}` };
	const decipher = createDecipheriv(`aes-${keyLength * 8}-cfb`, key, Buffer.alloc(16));
	const [id, ...data] = decipher.update(body.subarray(13));
	const length = aesKeyLengths.get(id!);
	return length === data.length ? { data: Uint8Array.from(data), algorithm: `aes${length * 8}` } : null;
}

async function deriveKey(
	passphrase: string,
	{ hash, salt, count }: Derivation,
	length: number,
): Promise<Buffer> {
	const unit = Buffer.concat([salt, Buffer.from(passphrase)]);
	const block = Buffer.concat(Array.from({ length: Math.ceil(65536 / unit.length) }, () => unit));
	const parts: Buffer[] = [];
	for (let made = 0; made < length; made += parts.at(-1)!.length) {
		// Each further hash of a key that is longer than one starts with one more zero.
		const state = createHash(hash).update(Buffer.alloc(parts.length));
		let sinceTurn = 0;
		for (let missing = Math.max(count, unit.length); missing > 0; missing -= block.length) {
			state.update(block.subarray(0, missing));
			sinceTurn += block.length;
			if (sinceTurn < HASHED_AT_ONCE) continue;
			sinceTurn = 0;
			await turn();
		}
		parts.push(state.digest());
	}
	return Buffer.concat(parts).subarray(0, length);
}
