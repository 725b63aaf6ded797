/** The few messages of PostgreSQL's wire protocol that are read or written by hand: https://www.postgresql.org/docs/current/protocol-message-formats.html */

/** A message of the given type, with its length. */
export function message(type: string, body: Buffer): Buffer {
	const head = Buffer.alloc(5);
	head.write(type, 0, 'latin1');
	head.writeInt32BE(4 + body.length, 1);
	return Buffer.concat([head, body]);
}

/** Follows the boundaries of messages through a stream of pieces, without collecting anything. */
export class MessageScanner {
	/** Type byte of the last message whose head was seen. */
	lastType = 0;

	/** Whether an ErrorResponse came by. */
	sawError = false;

	private readonly head = Buffer.alloc(5);

	private headLength = 0;

	private remaining = 0;

	get isBetweenMessages(): boolean {
		return this.remaining === 0 && this.headLength === 0;
	}

	push(piece: Buffer): void {
		for (let at = 0; at < piece.length;) {
			if (this.remaining > 0) {
				const taken = Math.min(this.remaining, piece.length - at);
				this.remaining -= taken;
				at += taken;
				continue;
			}
			const taken = piece.copy(this.head, this.headLength, at, at + 5 - this.headLength);
			this.headLength += taken;
			at += taken;
			if (this.headLength < 5) return;
			this.headLength = 0;
			this.lastType = this.head[0]!;
			this.sawError ||= this.lastType === 0x45;
			this.remaining = this.head.readInt32BE(1) - 4;
		}
	}
}

/** The messages in bytes that hold whole ones. */
export function* messagesIn(bytes: Buffer): Generator<{ type: string; body: Buffer }> {
	for (let at = 0; at + 5 <= bytes.length;) {
		const end = at + 1 + bytes.readInt32BE(at + 1);
		yield { type: String.fromCharCode(bytes[at]!), body: bytes.subarray(at + 5, end) };
		at = end;
	}
}

/** The text of a simple query, its bytes as Latin-1 characters; `undefined` for other messages. */
export function queryText(request: Buffer): string | undefined {
	return request[0] === 0x51 ? request.toString('latin1', 5, request.length - 1) : undefined;
}

/** A simple query, from Latin-1 characters that stand for bytes. */
export function queryMessage(text: string): Buffer {
	return message('Q', Buffer.from(`${text}\0`, 'latin1'));
}

/** The end of an answer inside a transaction. */
export function commandComplete(tag: string): Buffer {
	return Buffer.concat([message('C', Buffer.from(`${tag}\0`)), message('Z', Buffer.from('T'))]);
}

/** The answer to a FETCH: columns that are all called `c`, and rows of nothing but nulls. */
export function nullRows(columns: number, rows: number): Buffer {
	const count = Buffer.alloc(2);
	count.writeInt16BE(columns);
	const field = Buffer.concat([Buffer.from('c\0'), Buffer.alloc(18)]);
	const description = message('T', Buffer.concat([count, ...Array<Buffer>(columns).fill(field)]));
	const row = message('D', Buffer.concat([count, Buffer.alloc(4 * columns, 0xff)]));
	return Buffer.concat([description, ...Array<Buffer>(rows).fill(row), commandComplete(`FETCH ${rows}`)]);
}

/** OIDs of the functions lo_open(oid, integer) and loread(integer, integer): the same in every server. */
const functions = { lo_open: 952, loread: 954 };

/** Whether a request is a FunctionCall. */
function calls(request: Buffer, name: keyof typeof functions): boolean {
	return request[0] === 0x46 && request.readUInt32BE(5) === functions[name];
}

/** Whether a request is libpq's call to read a piece of a large object. */
export function isLargeObjectRead(request: Buffer): boolean {
	return calls(request, 'loread');
}

/** The OID of the large object that a request of libpq opens. */
export function openedLargeObject(request: Buffer): number | undefined {
	if (!calls(request, 'lo_open')) return undefined;
	// Before it: the function, one format for all arguments, their number, and the length of this one.
	const formats = request.readUInt16BE(9);
	return request.readUInt32BE(5 + 4 + 2 + 2 * formats + 2 + 4);
}

/** The answer to a function call: a value of no bytes. */
export function emptyResult(): Buffer {
	return Buffer.concat([message('V', Buffer.alloc(4)), message('Z', Buffer.from('T'))]);
}

/** An ErrorResponse, as `pg` reports errors: an Error with a `code`. */
export class ServerError extends Error {
	constructor(
		readonly code: string,
		text: string,
	) {
		super(text);
	}
}

/** The first ErrorResponse of an answer. */
export function errorIn(answer: Buffer): ServerError | undefined {
	for (const { type, body } of messagesIn(answer)) {
		if (type !== 'E') continue;
		const fields = new Map(
			body
				.toString()
				.split('\0')
				.map((field) => [field.charAt(0), field.slice(1)]),
		);
		return new ServerError(fields.get('C') ?? '', fields.get('M') ?? 'unknown error');
	}
	return undefined;
}
