import { createCipheriv } from 'node:crypto';

import { freeMemory } from '../memory';

const BLOCK = 16;

/** Bytes decrypted at a time; a multiple of AES's block. */
const BATCH = 256 * 1024;

/**
 * Decrypts AES in CFB mode with an IV of zeros, as OpenPGP uses it (RFC 9580, section 12.9; NIST SP 800-38A, section 6.3), several times
 * faster than OpenSSL's own CFB, which takes one block after the other. When decrypting, all blocks of the key stream come from ciphertext
 * that is there already: they are encrypted at once, and the processor works on several.
 *
 * @param key 16, 24 or 32 bytes.
 * @param ciphertext pieces of any length. Each is read before the next one is asked for.
 * @returns the plaintext. A piece is good until the next one is asked for: its memory is used again.
 */
export async function* decryptCfb(
	key: Uint8Array,
	ciphertext: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer, void, undefined> {
	const ecb = createCipheriv(`aes-${key.length * 8}-ecb`, key, null).setAutoPadding(false);
	// The block before, and what came after it.
	const input = Buffer.allocUnsafeSlow(BLOCK + BATCH).fill(0, 0, BLOCK);
	const output = Buffer.allocUnsafeSlow(BATCH);
	const words = new Uint32Array(input.buffer, input.byteOffset + BLOCK, BATCH / 4);
	const outputWords = new Uint32Array(output.buffer, output.byteOffset, BATCH / 4);
	let fill = 0;

	const decrypt = (): Buffer => {
		const blocks = Math.ceil(fill / BLOCK);
		const keyStream = ecb.update(input.subarray(0, blocks * BLOCK));
		const keyWords = new Uint32Array(keyStream.buffer, keyStream.byteOffset, blocks * (BLOCK / 4));
		for (let at = 0; at < keyWords.length; at++) outputWords[at] = words[at]! ^ keyWords[at]!;
		freeMemory(keyStream);
		const plaintext = output.subarray(0, fill);
		input.copyWithin(0, fill, fill + BLOCK);
		fill = 0;
		return plaintext;
	};

	for await (const piece of ciphertext) {
		for (let offset = 0; offset < piece.length;) {
			const part = piece.subarray(offset, offset + BATCH - fill);
			input.set(part, BLOCK + fill);
			offset += part.length;
			fill += part.length;
			if (fill === BATCH) yield decrypt();
		}
	}
	if (fill > 0) yield decrypt();
}
