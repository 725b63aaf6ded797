import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';

import { LifeboatError } from '../errors';

const derive = promisify<string, Buffer, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(
	scrypt,
);

/**
 * A key of 32 bytes by scrypt (RFC 7914) with r = 8 and p = 1, on the thread pool. It takes 1 KiB for each of N.
 *
 * @param logN N is two to this power. Bounded by whoever calls.
 * @throws LifeboatError `OUT_OF_MEMORY`.
 */
export async function scryptKey(password: string, salt: Buffer, logN: number): Promise<Buffer> {
	const N = 2 ** logN;
	try {
		// OpenSSL counts a few blocks on top.
		return await derive(password, salt, 32, { N, r: 8, p: 1, maxmem: 1024 * (N + 16) });
	} catch (error) {
		throw new LifeboatError(
			'OUT_OF_MEMORY',
			`The key could not be derived from the passphrase: there are no ${Math.ceil(N / 1024)} MiB of memory for it`,
			{ hint: 'Give n8n more memory, then run the node again. It says nothing of the backup', cause: error },
		);
	}
}
