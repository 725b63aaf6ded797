import { createCipheriv, createHash } from 'node:crypto';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Bytes that look random and are the same for the same name. */
function bytes(name: string, size: number): Buffer {
	const key = createHash('sha256').update(name).digest();
	return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

/** A number below `limit`, the same for the same name. */
const pick = (name: string, limit: number) =>
	createHash('sha256').update(name).digest().readUInt32BE() % limit;

const odd = [
	...[
		'leer.txt',
		'with space.txt',
		"it's.txt",
		'-dash.txt',
		'ünïcödé/Größe № 7.txt',
		'商品/写真 ☕.jpg',
		'🏮.bin',
	],
	...[
		'.hidden',
		'deep/er/and/deep/er/still/note.md',
		'percent%20.txt',
		'back\\slash.txt',
		`${'long-'.repeat(45)}name.txt`,
	],
];

/** Fills a folder with what a shop's uploads look like: several hundred files, odd names, odd modes, links. */
export async function createSampleFiles(folder: string): Promise<void> {
	const write = async (name: string, content: Buffer, mode = 0o644) => {
		const path = join(folder, name);
		await mkdir(dirname(path), { recursive: true });
		await writeFile(path, content);
		await chmod(path, mode);
	};
	for (let n = 1; n <= 420; n++) {
		const name = `invoices/${2021 + (n % 6)}/invoice-${String(n).padStart(5, '0')}.pdf`;
		await write(name, Buffer.concat([Buffer.from('%PDF-1.7\n'), bytes(name, 2000 + pick(name, 40_000))]));
	}
	for (let n = 1; n <= 60; n++) {
		const name = `photos/product-${n}.jpg`;
		await write(name, bytes(name, 20_000 + pick(name, 180_000)));
	}
	for (const name of odd)
		await write(name, name === 'leer.txt' ? Buffer.alloc(0) : Buffer.from(`${name}\n`.repeat(50)));
	await write('catalogue.pdf', bytes('catalogue', 6_000_000));
	await write('scripts/import.sh', Buffer.from('#!/bin/sh\necho imported\n'), 0o755);
	await write('private/keys.env', Buffer.from('SHOP_KEY=sample\n'), 0o600);
	await mkdir(join(folder, 'incoming'), { mode: 0o750 });
	await symlink('invoices/2026', join(folder, 'this-year'));
	await symlink('../catalogue.pdf', join(folder, 'photos/catalogue.pdf'));
}
