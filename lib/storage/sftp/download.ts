import { Readable } from 'node:stream';
import type { Stats } from 'ssh2';

import { BufferPool } from '../../streams/buffer-pool';
import { offer } from '../../streams/neighbours';
import { checkedRange } from '../range';
import { replaced, resumable } from '../resume';
import type { GetOptions } from '../storage';

import { BLOCK } from './blocks';
import { isConnectionError, sftpError } from './errors';
import type { SftpSession } from './session';
import type { SftpSessions } from './sessions';

/** Blocks that are asked for ahead: 4 MB. */
const AHEAD = 16;

export interface DownloadTarget {
	sessions: SftpSessions;
	description: string;
	key: string;
	path: string;
}

/** Opens a file. @returns nothing if there is none. */
export async function download(target: DownloadTarget, options: GetOptions): Promise<Readable | undefined> {
	const { sessions, key, path, description } = target;
	const { signal, range } = options;
	const what = `${key} in ${description}`;
	const opened = await sessions.run(signal, (session) => openFile(session, path));
	if (!opened) return undefined;
	const { stats } = opened;
	let found;
	try {
		found = checkedRange(stats.size, range, what);
	} catch (error) {
		await opened.close();
		throw error;
	}
	const { start, end, length } = found;
	const pool = new BufferPool(BLOCK);
	const stream = resumable({
		...{ what, length, signal, timeout: 2 * sessions.timeout, patience: sessions.patienceNow },
		first: opened.read(start, end, pool),
		reopen: async (received, stop) => {
			const again = await sessions.run(stop, (session) => openFile(session, path), 0);
			if (again && isSame(again.stats, stats)) return again.read(start + received, end, pool);
			await again?.close();
			throw replaced(what);
		},
		mayPass: isConnectionError,
		describe: (error) => sftpError(error, `Downloading ${key} from ${description}`, path),
	});
	offer(stream, { pool });
	return stream;
}

/** Whether a file is still the one it was, as far as SFTP tells. */
function isSame(one: Stats, other: Stats): boolean {
	return one.size === other.size && one.mtime === other.mtime;
}

interface OpenFile {
	stats: Stats;
	/** The bytes from `start` to `end`, both included. Closes the file at its end. */
	read: (start: number, end: number, pool: BufferPool) => Readable;
	close: () => Promise<void>;
}

async function openFile(session: SftpSession, path: string): Promise<OpenFile | undefined> {
	// Only lstat shows a link, which could lead out of the folder.
	const there = await session.lstat(path);
	if (!there?.isFile()) return undefined;
	const handle = await session.open(path, 'r');
	const close = () => session.close(handle).catch(() => {});
	try {
		const stats = await session.fstat(handle);
		const read = (start: number, end: number, pool: BufferPool) =>
			// Each block by itself: joined ones could not be given back.
			Readable.from(readAhead(session, handle, start, end, pool), { highWaterMark: 1 }).once(
				'close',
				() => void close(),
			);
		return { stats, read, close };
	} catch (error) {
		await close();
		throw error;
	}
}

async function* readAhead(
	session: SftpSession,
	handle: Buffer,
	start: number,
	end: number,
	pool: BufferPool,
): AsyncGenerator<Buffer, void, undefined> {
	const flights: Array<Promise<Buffer>> = [];
	let next = start;
	for (;;) {
		while (next <= end && flights.length < AHEAD) {
			const flight = readBlock(session, handle, next, Math.min(BLOCK, end - next + 1), pool);
			// It is awaited in its turn; until then its failure is not unhandled.
			flight.catch(() => {});
			flights.push(flight);
			next += BLOCK;
		}
		const flight = flights.shift();
		if (!flight) return;
		const data = await flight;
		// A file that has become shorter ends too early, which who counts the bytes notices.
		if (data.length === 0) return;
		yield data;
		if (data.length < BLOCK) return;
	}
}

/** A server may give less than was asked for. */
async function readBlock(
	session: SftpSession,
	handle: Buffer,
	start: number,
	length: number,
	pool: BufferPool,
): Promise<Buffer> {
	const block = pool.take(length);
	let got = 0;
	while (got < length) {
		const more = await session.read(handle, block.subarray(got, length), start + got);
		if (more === 0) break;
		got += more;
	}
	return pool.lend(block, got);
}
