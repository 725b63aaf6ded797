import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

import { Stanza, type Identity, type Recipient } from 'age-encryption';

import { LifeboatError } from '../../errors';
import { damaged } from '../failures';
import { scryptKey } from '../scrypt';

/** What the `age` command uses: 256 MiB and about a second. */
export const DEFAULT_LOG_N = 18;

/** Below it a passphrase is guessed too easily. */
export const MIN_LOG_N = 10;

/** 1 GiB. The `age` command writes 18 and accepts 22, for which a file made to harm would make it take 4 GiB. */
export const MAX_LOG_N = 20;

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
						hint: 'Nothing that Lifeboat writes asks for that much memory: the file was changed, or made to exhaust this machine. Take another copy. If you made it so yourself, open it with the age command',
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
	const label = Buffer.concat([Buffer.from('age-encryption.org/v1/scrypt'), salt]);
	return scryptKey(passphrase, label, logN);
}

function unpadded(bytes: Buffer): string {
	return bytes.toString('base64').replaceAll('=', '');
}
