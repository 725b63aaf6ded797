import { damaged } from '../failures';

const BEGIN = '-----BEGIN AGE ENCRYPTED FILE-----';
const END = '-----END AGE ENCRYPTED FILE-----';

/** White space allowed before and after, as the `age` command allows it. */
const MAX_WHITE_SPACE = 1024;

/** Decoded at a time, so that one expression never has much to match. */
const BLOCK_SIZE = 64 * 1024;

/**
 * Decodes age's ASCII armour (a strict PEM, see the age specification) where a file starts with it, and passes binary files as
 * they are.
 */
export class Dearmor {
	private state: 'beginning' | 'binary' | 'body' | 'trailer' = 'beginning';

	/** Of a text: what couldn't be decoded yet, less than two lines. */
	private pending = '';

	/** Bytes of which nothing is known yet. */
	private start = Buffer.alloc(0);

	/** The line that ends the body was seen: only the end line may follow. */
	private bodyEnded = false;

	update(data: Buffer): Buffer {
		if (this.state === 'beginning') return this.begin(data, false);
		return this.state === 'binary' ? data : this.decode(data);
	}

	/** @throws LifeboatError `DAMAGED` when the text ends before its end line. */
	final(): Buffer {
		if (this.state === 'beginning') return this.begin(Buffer.alloc(0), true);
		if (this.state === 'binary') return Buffer.alloc(0);
		const rest = this.state === 'body' ? this.decode(Buffer.from('\n')) : Buffer.alloc(0);
		if (this.state === 'body') throw damaged('ends before the last line of its ASCII armour');
		return rest;
	}

	private begin(data: Buffer, ended: boolean): Buffer {
		this.start = Buffer.concat([this.start, data]);
		const text = this.start.toString('latin1', 0, MAX_WHITE_SPACE + BEGIN.length + 2);
		const begun = text.trimStart();
		const undecided = begun.length <= BEGIN.length + 1 && text.length <= MAX_WHITE_SPACE + BEGIN.length;
		if (undecided && !ended && BEGIN.startsWith(begun.slice(0, BEGIN.length))) return Buffer.alloc(0);
		const bytes = this.start;
		this.start = Buffer.alloc(0);
		if (!/^-----BEGIN AGE ENCRYPTED FILE-----\r?\n/.test(begun)) {
			this.state = 'binary';
			return bytes;
		}
		this.state = 'body';
		return this.decode(bytes.subarray(text.length - begun.length + begun.indexOf('\n') + 1));
	}

	private decode(data: Buffer): Buffer {
		const decoded: Buffer[] = [];
		for (let offset = 0; offset < data.length; offset += BLOCK_SIZE) {
			this.pending += data.toString('latin1', offset, offset + BLOCK_SIZE);
			decoded.push(this.decodePending());
		}
		return Buffer.concat(decoded);
	}

	private decodePending(): Buffer {
		const decoded: Buffer[] = [];
		if (this.state === 'body' && !this.bodyEnded) {
			const [whole = ''] = /^(?:[A-Za-z0-9+/]{64}\r?\n)*/.exec(this.pending) ?? [];
			decoded.push(Buffer.from(whole, 'base64'));
			this.pending = this.pending.slice(whole.length);
		}
		while (this.state === 'body') {
			const newline = this.pending.indexOf('\n');
			if (newline === -1) {
				if (this.pending.length > 80) throw damaged('has a line in its ASCII armour that is too long');
				break;
			}
			const line = this.pending.slice(0, newline).replace(/\r$/, '');
			this.pending = this.pending.slice(newline + 1);
			if (line === END) this.state = 'trailer';
			else decoded.push(this.lastLine(line));
		}
		if (this.state === 'trailer' && (this.pending.length > MAX_WHITE_SPACE || /\S/.test(this.pending))) {
			throw damaged('goes on behind the end of its ASCII armour');
		}
		return Buffer.concat(decoded);
	}

	private lastLine(line: string): Buffer {
		const bytes = Buffer.from(line, 'base64');
		const canonical = line.length > 0 && line.length <= 64 && bytes.toString('base64') === line;
		if (this.bodyEnded || !canonical) throw damaged('has a malformed line in its ASCII armour');
		this.bodyEnded = true;
		return bytes;
	}
}
