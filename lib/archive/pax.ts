import { damaged } from './tar-header';

const NEWLINE = 0x0a;
const SPACE = 0x20;
const EQUALS = 0x3d;

/** The records of a pax extended header. Values stay bytes: names may be anything. */
export type PaxRecords = ReadonlyMap<string, Buffer>;

/**
 * Reads pax records, `"%d %s=%s\n"`, by their lengths (POSIX.1-2017, pax, "pax Extended Header"), so that a value may hold a
 * newline. The last of several with the same keyword counts.
 *
 * @throws LifeboatError `DAMAGED` for whatever is not exactly a sequence of records.
 */
export function decodePax(data: Buffer, offset: number): PaxRecords {
	const records = new Map<string, Buffer>();
	for (let start = 0; start < data.length;) {
		const space = data.indexOf(SPACE, start);
		const digits = space === -1 ? '' : data.toString('latin1', start, space);
		const length = /^[1-9]\d{0,6}$/.test(digits) ? Number(digits) : 0;
		const end = start + length;
		const equals = data.indexOf(EQUALS, space + 1);
		const isRecord = length > 0 && end <= data.length && data[end - 1] === NEWLINE;
		if (!isRecord || equals <= space + 1 || equals >= end - 1) {
			throw damaged('an extended header is not valid', offset);
		}
		records.set(data.toString('utf8', space + 1, equals), data.subarray(equals + 1, end - 1));
		start = end;
	}
	return records;
}

/** Writes pax records. The length of a record counts its own digits. */
export function encodePax(records: Readonly<Record<string, string>>): Buffer {
	const lines = Object.entries(records).map(([key, value]) => {
		const rest = Buffer.from(` ${key}=${value}\n`);
		let length = rest.length;
		while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
		return Buffer.concat([Buffer.from(String(length)), rest]);
	});
	return Buffer.concat(lines);
}
