/** Where the specifier of the key derivation starts in a packet, by its version (RFC 9580, section 5.3). */
const specifierAt: Readonly<Record<number, number>> = { 4: 2, 5: 3, 6: 5 };

const ARGON2 = 4;

const SALT_SIZE = 16;

/** What RFC 9106 recommends where memory is short, three passes over 64 MiB, and a bit: about half a second. In KiB times passes. */
export const MAX_ARGON2_WORK = 4 * 64 * 1024;

/**
 * What a symmetric-key encrypted session key packet asks of who has the passphrase, if the key is derived by Argon2 (RFC 9580, section
 * 3.7.1.4): memory in KiB times passes over it. 0 where it isn't.
 */
export function argon2Work(body: Buffer): number {
	const specifier = body.subarray(specifierAt[body[0] ?? 0] ?? body.length);
	if (specifier[0] !== ARGON2) return 0;
	const [passes = 0, , exponent = 0] = specifier.subarray(1 + SALT_SIZE);
	return passes * 2 ** exponent;
}
