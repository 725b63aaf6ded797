import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';

import { Stanza, type Identity, type Recipient } from 'age-encryption';

import { LifeboatError } from '../../errors';
import { damaged } from '../failures';

/** What the `age` command uses: 256 MiB and about a second. */
export const DEFAULT_LOG_N = 18;

/** Below it a passphrase is guessed too easily. */
export const MIN_LOG_N = 10;

/** What the `age` command accepts at most; it takes 4 GiB. */
export const MAX_LOG_N = 22;

const derive = promisify<string, Buffer, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(
	scrypt,
);

/**
 * The scrypt recipient of age v1, on the thread pool: the library's own works for seconds on the main thread, where n8n then
 * loses its lock on the job.
 */
export function scryptRecipient(passphrase: string, logN: number): Recipient {
	return {
		async wrapFileKey(fileKey) {
			const salt = randomBytes(16);
			const sealer = createCipheriv(
				'chacha20-poly1305',
				await wrappingKey(passphrase, salt, logN),
				zeroNonce,
				{
					authTagLength: 16,
				},
			);
			const body = Buffer.concat([sealer.update(fileKey), sealer.final(), sealer.getAuthTag()]);
			return [new Stanza(['scrypt', unpadded(salt), String(logN)], body)];
		},
	};
}

/** Its counterpart. @param maxLogN the highest work factor that is accepted. */
export function scryptIdentity(passphrase: string, maxLogN: number): Identity {
	return {
		async unwrapFileKey(stanzas) {
			const stanza = stanzas.find(({ args }) => args[0] === 'scrypt');
			if (!stanza) return null;
			const { salt, logN } = parse(stanza);
			if (logN > maxLogN) {
				throw new LifeboatError(
					'DAMAGED',
					`The encrypted data asks for a work factor of ${logN} to derive its key, more than the ${maxLogN} that is accepted`,
					{
						hint: 'Nothing that Lifeboat writes asks for that much memory: the file was changed, or made to exhaust this machine. Take another copy',
					},
				);
			}
			const opener = createDecipheriv(
				'chacha20-poly1305',
				await wrappingKey(passphrase, salt, logN),
				zeroNonce,
				{
					authTagLength: 16,
				},
			);
			opener.setAuthTag(stanza.body.subarray(16));
			const fileKey = opener.update(stanza.body.subarray(0, 16));
			try {
				opener.final();
			} catch {
				return null;
			}
			return fileKey;
		},
	};
}

const zeroNonce = Buffer.alloc(12);

function parse({ args, body }: Stanza): { salt: Buffer; logN: number } {
	const [, encodedSalt = '', factor = '', ...more] = args;
	const salt = Buffer.from(encodedSalt, 'base64');
	const valid =
		more.length === 0 &&
		salt.length === 16 &&
		unpadded(salt) === encodedSalt &&
		/^[1-9]\d{0,2}$/.test(factor) &&
		body.length === 32;
	if (!valid) throw damaged('has a malformed header');
	return { salt, logN: Number(factor) };
}

async function wrappingKey(passphrase: string, salt: Buffer, logN: number): Promise<Buffer> {
	const N = 2 ** logN;
	const label = Buffer.concat([Buffer.from('age-encryption.org/v1/scrypt'), salt]);
	// OpenSSL counts a few blocks on top of the 1 KiB for each of N.
	return derive(passphrase, label, 32, { N, r: 8, p: 1, maxmem: 1024 * (N + 16) });
}

function unpadded(bytes: Buffer): string {
	return bytes.toString('base64').replaceAll('=', '');
}
