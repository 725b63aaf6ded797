import type { Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { codeOf } from '../../errors';

import { localError } from './paths';

/** A regular file below a folder. */
export interface WalkedFile {
	/** Path relative to the folder, with `/`. */
	key: string;
	path: string;
	stats: Stats;
}

/**
 * The regular files whose key starts with the prefix, in the order of their keys' UTF-8 bytes. Symbolic links are neither listed
 * nor followed; what vanishes meanwhile is left out. Memory holds the names of one folder for each level.
 *
 * @param allow asked for each folder before it is read.
 */
export async function* walk(
	root: string,
	prefix: string,
	allow: (path: string) => Promise<void>,
	signal?: AbortSignal,
): AsyncGenerator<WalkedFile> {
	yield* walkFolder(root, '');

	async function* walkFolder(folder: string, parent: string): AsyncGenerator<WalkedFile> {
		signal?.throwIfAborted();
		await allow(folder);
		for (const name of await namesIn(folder)) {
			const key = parent + name;
			if (!key.startsWith(prefix) && !prefix.startsWith(key)) continue;
			if (name.endsWith('/')) {
				yield* walkFolder(join(folder, name.slice(0, -1)), key);
				continue;
			}
			if (!key.startsWith(prefix)) continue;
			signal?.throwIfAborted();
			const path = join(folder, name);
			const stats = await statOrGone(path);
			if (stats?.isFile()) yield { key, path, stats };
		}
	}
}

/** Names in byte order, folders with `/` at their end: so `a-b` comes before what is in `a`, and `a0` after it. */
async function namesIn(folder: string): Promise<string[]> {
	let entries;
	try {
		entries = await readdir(folder, { withFileTypes: true });
	} catch (error) {
		if (codeOf(error) === 'ENOENT') return [];
		throw localError(error, folder);
	}
	return entries
		.filter((entry) => !entry.isSymbolicLink())
		.map((entry) => Buffer.from(entry.isDirectory() ? `${entry.name}/` : entry.name))
		.sort((a, b) => Buffer.compare(a, b))
		.map((name) => name.toString());
}

async function statOrGone(path: string): Promise<Stats | undefined> {
	try {
		return await lstat(path);
	} catch (error) {
		if (codeOf(error) === 'ENOENT') return undefined;
		throw localError(error, path);
	}
}
