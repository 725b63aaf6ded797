/** Stores so many bytes under a key of a local folder and prints the code of the error, or `stored`. */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';

import type { LifeboatError } from '../../../../lib/errors';
import { localStorage } from '../../../../lib/storage/local/local-storage';

const [folder, key, bytes, mode] = process.argv.slice(2) as [string, string, string, string];

function* content(): Generator<Buffer> {
	for (let left = Number(bytes); left > 0; left -= 65_536) yield randomBytes(Math.min(left, 65_536));
}

void (async () => {
	const options = mode === 'known' ? { size: Number(bytes) } : {};
	try {
		await localStorage({ folder }).put(key, Readable.from(content()), options);
		console.log('stored');
	} catch (error) {
		const { code, message } = error as LifeboatError;
		console.log(`${code}: ${message}`);
	}
})();
