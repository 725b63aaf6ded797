import { createDecipheriv, timingSafeEqual } from 'node:crypto';

import { LifeboatError } from '../../errors';
import { damaged } from '../failures';

import type { HashThread } from './hash-thread';
import { Tag, type PacketReader } from './packets';
import type { SessionKey } from './session-key';

/** Random bytes that the data starts with, and their last two again. */
const PREFIX_SIZE = 18;

/** Of the modification detection code, with its packet's header. */
const CODE_SIZE = 22;

/** The encrypted data of a message. */
export interface EncryptedData {
	key: Uint8Array;
	/** Each piece is good until the next one is asked for. */
	ciphertext: AsyncIterable<Buffer>;
}

/**
 * Finds the key for the data of a packet (RFC 9580, section 5.13.1).
 *
 * @throws LifeboatError `DAMAGED`, `UNSUPPORTED_FORMAT`; what `wrong` makes if no key fits.
 */
export async function encryptedData(
	body: AsyncGenerator<Buffer, void, undefined>,
	sessionKeys: readonly SessionKey[],
	wrong: () => LifeboatError,
): Promise<EncryptedData> {
	let start: Buffer = Buffer.alloc(0);
	while (start.length <= PREFIX_SIZE + 1) {
		const { value } = await body.next();
		if (!value) throw damaged('ends before its real end');
		start = Buffer.concat([start, value]);
	}
	if (start[0] !== 1) {
		throw new LifeboatError(
			'UNSUPPORTED_FORMAT',
			`The encrypted data is of version ${start[0]} of its format; version 1 is known`,
			{
				hint: 'Decrypt it with the program that made it, or encrypt with gpg 2.2 or newer and its default settings',
			},
		);
	}
	const key = keyFor(start.subarray(1, PREFIX_SIZE + 2), sessionKeys);
	if (!key) throw wrong();
	async function* ciphertext(): AsyncGenerator<Buffer, void, undefined> {
		yield start.subarray(1);
		yield* body;
	}
	return { key, ciphertext: ciphertext() };
}

/** The same as `ciphertext` of `encryptedData`, for a message that was read before. */
export async function* ciphertextIn(reader: PacketReader): AsyncGenerator<Buffer, void, undefined> {
	for (let found = await reader.next(); found; found = await reader.next()) {
		let isVersion = found.tag === Tag.encrypted;
		for await (const data of found.body) {
			if (found.tag === Tag.encrypted) yield data.subarray(isVersion ? 1 : 0);
			isVersion = false;
		}
		if (found.tag === Tag.encrypted) return;
	}
}

/**
 * What is in decrypted data between its random start and the code at its end. Each piece is good until the next one is asked for.
 *
 * @param hash for data that is not proven yet: then it fails instead of ending unless the code is right.
 * @throws LifeboatError `DAMAGED`: then nothing that came out may be released.
 */
export async function* contentIn(
	plaintext: AsyncIterable<Buffer>,
	hash?: HashThread,
): AsyncGenerator<Buffer, void, undefined> {
	let prefix = PREFIX_SIZE;
	let held: Buffer = Buffer.alloc(0);
	for await (const deciphered of plaintext) {
		if (prefix > 0) await hash?.update(deciphered.subarray(0, prefix));
		let data = deciphered.subarray(prefix);
		prefix -= deciphered.length - data.length;
		if (data.length < CODE_SIZE) {
			data = Buffer.concat([held, data]);
		} else if (held.length > 0) {
			await hash?.update(held);
			yield held;
		}
		const content = data.subarray(0, Math.max(0, data.length - CODE_SIZE));
		held = Buffer.from(data.subarray(content.length));
		if (content.length === 0) continue;
		await hash?.update(content);
		yield content;
	}
	if (!hash) return;
	await hash.update(held.subarray(0, 2));
	const code = await hash.digest();
	const isWhole = held.length === CODE_SIZE && held[0] === 0xd3 && held[1] === 0x14;
	if (!isWhole || !timingSafeEqual(code, held.subarray(2)))
		throw damaged('was changed, or ends before its real end');
}

/** The key that makes sense of the data's first bytes. A wrong one does so once in 16 million times. */
function keyFor(start: Buffer, sessionKeys: readonly SessionKey[]): Uint8Array | undefined {
	for (const { data, algorithm } of sessionKeys) {
		const name = /^aes(128|192|256)$/.exec(algorithm ?? '')?.[1];
		if (name === undefined || data.length * 8 !== Number(name)) continue;
		const plaintext = createDecipheriv(`aes-${name}-cfb`, data, Buffer.alloc(16)).update(start);
		const repeats = plaintext.subarray(14, 16).equals(plaintext.subarray(16, 18));
		if (repeats && plaintext[PREFIX_SIZE]! & 0x80) return data;
	}
	const foreign = sessionKeys.find(({ algorithm }) => algorithm !== null && !/^aes\d+$/.test(algorithm));
	if (foreign && sessionKeys.length === 1) {
		throw new LifeboatError('UNSUPPORTED_FORMAT', `The encrypted data uses the cipher ${foreign.algorithm}`, {
			hint: 'Decrypt it with the gpg command, or encrypt with "gpg --cipher-algo AES256"',
		});
	}
	return undefined;
}
