/** An archive block by block, as nobody's library would write it. */
export interface RawEntry {
	name: string | Buffer;
	/** Type flag; `0` unless given. */
	type?: string;
	body?: Buffer | string;
	/** As the header says it, whatever the body's length. */
	size?: number | string;
	mode?: number;
	uid?: number;
	gid?: number;
	mtime?: number;
	linkName?: string | Buffer;
	prefix?: string;
	magic?: string;
	/** As the header says it. */
	checksum?: string;
}

export function rawEntry(entry: RawEntry): Buffer {
	const body = Buffer.from(entry.body ?? '');
	const header = Buffer.alloc(512);
	const put = (value: string | Buffer, offset: number, length: number) =>
		Buffer.from(value).copy(header, offset, 0, length);
	const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`;
	put(entry.name, 0, 100);
	put(octal(entry.mode ?? 0o644, 8), 100, 8);
	put(octal(entry.uid ?? 0, 8), 108, 8);
	put(octal(entry.gid ?? 0, 8), 116, 8);
	const size = entry.size ?? body.length;
	put(typeof size === 'string' ? size : octal(size, 12), 124, 12);
	put(octal(entry.mtime ?? 1_700_000_000, 12), 136, 12);
	put(entry.type ?? '0', 156, 1);
	put(entry.linkName ?? '', 157, 100);
	put(entry.magic ?? 'ustar\x0000', 257, 8);
	put(entry.prefix ?? '', 345, 155);
	put('        ', 148, 8);
	const sum = header.reduce((total, byte) => total + byte, 0);
	put(entry.checksum ?? `${sum.toString(8).padStart(6, '0')}\0 `, 148, 8);
	return Buffer.concat([header, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

export function paxRecord(key: string, value: string): string {
	const rest = Buffer.byteLength(` ${key}=${value}\n`);
	let length = rest + 1;
	while (String(length).length + rest !== length) length += 1;
	return `${length} ${key}=${value}\n`;
}

export const end = Buffer.alloc(1024);

export function rawTar(...entries: (RawEntry | Buffer)[]): Buffer {
	return Buffer.concat([...entries.map((entry) => (Buffer.isBuffer(entry) ? entry : rawEntry(entry))), end]);
}
