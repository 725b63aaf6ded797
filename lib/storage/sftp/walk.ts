import type { Stats } from 'ssh2';

import type { SftpSession } from './session';
import type { SftpSessions } from './sessions';

/** A regular file below a folder of the server. */
export interface RemoteEntry {
	/** Relative to the folder. */
	key: string;
	path: string;
	stats: Stats;
}

/**
 * The regular files whose key starts with the prefix, in the order of their keys' UTF-8 bytes. Links are neither listed nor
 * followed; what vanishes meanwhile is left out. Memory holds the names of one folder for each level.
 */
export async function* walk(
	sessions: SftpSessions,
	root: string,
	prefix: string,
	signal?: AbortSignal,
): AsyncGenerator<RemoteEntry> {
	yield* walkFolder(root, '');

	async function* walkFolder(folder: string, parent: string): AsyncGenerator<RemoteEntry> {
		const wanted = (name: string) => {
			const key = parent + name;
			return key.startsWith(prefix) || (name.endsWith('/') && prefix.startsWith(key));
		};
		const found = await sessions.run(signal, (session) => readFolder(session, folder, wanted));
		for (const { name, stats } of found) {
			signal?.throwIfAborted();
			const key = parent + name;
			const path = `${folder}/${name}`;
			if (name.endsWith('/')) yield* walkFolder(path.slice(0, -1), key);
			else yield { key, path, stats };
		}
	}
}

/** Files and folders in byte order, folders with `/` at their end: so `a-b` comes before what is in `a`, and `a0` after it. */
async function readFolder(
	session: SftpSession,
	folder: string,
	wanted: (name: string) => boolean,
): Promise<Array<{ name: string; stats: Stats }>> {
	const found = new Map<string, Stats>();
	for (const { filename, attrs } of await session.readFolder(folder === '' ? '/' : folder)) {
		if (filename === '.' || filename === '..') continue;
		// Bytes that are no UTF-8 come as U+FFFD. And servers need not say of what kind an entry is.
		const certain = !filename.includes('\uFFFD') && attrs.mode !== undefined;
		const stats = certain ? attrs : await session.lstat(`${folder}/${filename}`);
		const name = stats?.isDirectory() ? `${filename}/` : filename;
		if (stats && (stats.isDirectory() || stats.isFile()) && wanted(name)) found.set(name, stats);
	}
	const ordered = [...found].map(([name, stats]) => ({ name, stats, bytes: Buffer.from(name) }));
	return ordered.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
}
