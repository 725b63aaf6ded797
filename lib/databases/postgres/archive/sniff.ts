import { LifeboatError } from '../../../errors';

import { MAGIC } from './format';
import type { ByteQueue } from './byte-queue';

/** What else may be handed over by mistake: how it starts, what it is, and what to do. */
const others: readonly { start: RegExp; what: string; hint: string }[] = [
	{ start: /^\x1f\x8b/, what: 'a gzip file', hint: 'Decompress it first' },
	{ start: /^\x28\xb5\x2f\xfd/, what: 'a zstd file', hint: 'Decompress it first' },
	{ start: /^(?:age-e|-----)/, what: 'an encrypted file', hint: 'Decrypt it first' },
	{ start: /^[\x84\x85\x8c\xc1\xc3]/, what: 'probably a file that gpg encrypted', hint: 'Decrypt it first' },
	{ start: /^(?:--|SET |\\rest|CREAT|\s)/, what: 'SQL text', hint: 'Restore it as plain SQL' },
];

/** Leaves the queue where it is. @throws LifeboatError `UNSUPPORTED_FORMAT` where it does not start as an archive does. */
export async function sniffMagic(queue: ByteQueue): Promise<void> {
	if (await queue.atEnd()) {
		throw new LifeboatError('ARCHIVE_DAMAGED', 'The PostgreSQL archive is empty', {
			hint: 'Do not use this copy. Take the same backup from another destination, or an older one',
		});
	}
	await queue.parse('its first bytes', (cursor) => {
		const start = cursor.take(MAGIC.length).toString('latin1');
		cursor.position -= MAGIC.length;
		if (start === MAGIC) return;
		const other = others.find((candidate) => candidate.start.test(start));
		throw new LifeboatError(
			'UNSUPPORTED_FORMAT',
			`This is no PostgreSQL custom archive (pg_dump -Fc)${other ? ` but ${other.what}` : ''}`,
			{
				hint:
					other?.hint ?? 'Check that the right file was chosen, and that it was decrypted and decompressed',
			},
		);
	});
}
