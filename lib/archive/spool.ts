import { createReadStream } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { createInterface } from 'node:readline';

const FLUSH_AT = 64 * 1024;

/** A list on disk, for what is needed later and may be too long for memory. */
export class Spool<T> {
	private pending = '';

	private count = 0;

	private constructor(
		private readonly path: string,
		private readonly handle: FileHandle,
	) {}

	/** Starts an empty list in a new file. */
	static async create<T>(path: string): Promise<Spool<T>> {
		return new Spool<T>(path, await open(path, 'wx', 0o600));
	}

	get length(): number {
		return this.count;
	}

	async add(item: T): Promise<void> {
		this.pending += `${JSON.stringify(item).replaceAll(/[\u2028\u2029]/g, escaped)}\n`;
		this.count += 1;
		if (this.pending.length >= FLUSH_AT) await this.flush();
	}

	/** All items, in the order in which they were added. */
	async *items(): AsyncGenerator<T, void, undefined> {
		await this.flush();
		for await (const line of createInterface({ input: createReadStream(this.path), crlfDelay: Infinity })) {
			yield JSON.parse(line) as T;
		}
	}

	async close(): Promise<void> {
		await this.handle.close();
	}

	private async flush(): Promise<void> {
		const text = this.pending;
		this.pending = '';
		await this.handle.appendFile(text);
	}
}

/** node:readline takes these for ends of lines, and JSON doesn't escape them. */
function escaped(character: string): string {
	return `\\u${character.charCodeAt(0).toString(16)}`;
}
