/** What a server says of a file or folder. */
export interface Facts {
	name: string;
	kind: 'file' | 'folder' | 'other';
	/** Bytes. */
	size: number;
	modifiedAt: Date;
	/** Another one means that the file was written again. */
	version: string;
}

/** A line of MLSD or MLST: `type=file;size=12;modify=20261121020000; name` (RFC 3659, 7.2). Nothing if it is none. */
export function parseFacts(line: string): Facts | undefined {
	const space = line.indexOf(' ');
	if (space < 0) return undefined;
	const facts = new Map<string, string>();
	for (const fact of line.slice(0, space).split(';')) {
		const equals = fact.indexOf('=');
		if (equals > 0) facts.set(fact.slice(0, equals).toLowerCase(), fact.slice(equals + 1));
	}
	const type = facts.get('type')?.toLowerCase();
	if (type === undefined) return undefined;
	const [size, modify] = [facts.get('size') ?? '', facts.get('modify') ?? ''];
	return {
		name: line.slice(space + 1),
		kind: type === 'file' ? 'file' : type === 'dir' ? 'folder' : 'other',
		size: /^\d+$/.test(size) ? Number(size) : NaN,
		modifiedAt: parseTime(modify) ?? new Date(0),
		version: [facts.get('unique') ?? '', size, modify].join('-'),
	};
}

/** `20261121020000.123`, always UTC (RFC 3659, 2.3). */
export function parseTime(text: string): Date | undefined {
	const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(text);
	if (!match) return undefined;
	const [year, month, ...rest] = match.slice(1).map(Number);
	return new Date(Date.UTC(year!, month! - 1, ...rest));
}
