import { Readable } from 'node:stream';

import { checkedRange } from '../range';
import { replaced, resumable } from '../resume';
import type { GetOptions } from '../storage';

import { ftpError, isConnectionError } from './errors';
import type { FtpPool } from './pool';

export interface DownloadTarget {
	pool: FtpPool;
	description: string;
	key: string;
	path: string;
}

/** Opens a file. @returns nothing if there is none. */
export async function download(target: DownloadTarget, options: GetOptions): Promise<Readable | undefined> {
	const { pool, key, path, description } = target;
	const { signal, range } = options;
	const what = `${key} in ${description}`;
	const look = (stop?: AbortSignal, patience?: number) =>
		pool.run(stop, (connection) => connection.look(path), patience);
	const facts = await look(signal);
	if (facts?.kind !== 'file') return undefined;
	const { start, length } = checkedRange(facts.size, range, what);
	const toEnd = start + length === facts.size;
	/** At most `most` bytes from a position on. */
	const read = async (from: number, most: number, stop?: AbortSignal) => {
		if (most === 0) return Readable.from([]);
		const connection = await pool.take(stop);
		const body = connection.read(path, from, () => pool.giveBack(connection));
		return Readable.from(limited(body, most, toEnd ? what : undefined), { objectMode: false }).once(
			'close',
			() => body.destroy(),
		);
	};
	return resumable({
		...{ what, length, signal, timeout: pool.timeout, patience: pool.patienceNow },
		first: await read(start, length, signal),
		reopen: async (received, stop) => {
			const again = await look(stop, 0);
			if (again?.version === facts.version) return await read(start + received, length - received, stop);
			throw replaced(what);
		},
		mayPass: isConnectionError,
		describe: (error) => ftpError(error, `Downloading ${key} from ${description}`, path),
	});
}

/**
 * FTP only knows where to begin, not where to end: what comes after the last byte is cut off.
 *
 * @param whole what it is, where the last byte is that of the file: then more means another file, or another place to begin.
 */
async function* limited(
	body: Readable,
	most: number,
	whole: string | undefined,
): AsyncGenerator<Buffer, void, undefined> {
	let left = most;
	for await (const chunk of body as AsyncIterable<Buffer>) {
		if (chunk.length > left && whole !== undefined) throw replaced(whole);
		const part = chunk.subarray(0, left);
		left -= part.length;
		if (part.length > 0) yield part;
		if (left === 0 && whole === undefined) return;
	}
}
