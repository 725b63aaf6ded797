import { isTemporaryName } from './names';
import { readFolder, type WebDavEntry } from './propfind';
import type { WebDavTarget } from './target';

export interface WalkedEntry extends WebDavEntry {
	/** Path within the storage's folder, without `/` at its end. */
	key: string;
	/** Whether it is something unfinished of ours. */
	isTemporary: boolean;
}

/**
 * The files whose key starts with the prefix, in the order of their keys' UTF-8 bytes, and what is unfinished of ours, files and
 * folders. What vanishes meanwhile is left out. Memory holds the entries of one folder for each level.
 */
export async function* walk(
	target: WebDavTarget,
	prefix: string,
	signal?: AbortSignal,
): AsyncGenerator<WalkedEntry> {
	yield* walkFolder('');

	async function* walkFolder(parent: string): AsyncGenerator<WalkedEntry> {
		signal?.throwIfAborted();
		const entries = (await readFolder(target, target.root + parent, signal)) ?? [];
		for (const entry of inByteOrder(entries)) {
			const key = parent + entry.name;
			const isTemporary = isTemporaryName(entry.name);
			if (!entry.isFolder || isTemporary) {
				if (key.startsWith(prefix)) yield { ...entry, key, isTemporary };
				continue;
			}
			const folder = `${key}/`;
			if (folder.startsWith(prefix) || prefix.startsWith(folder)) yield* walkFolder(folder);
		}
	}
}

/** Folders as if `/` stood at the end of their names: so `a-b` comes before what is in `a`, and `a0` after it. */
function inByteOrder(entries: WebDavEntry[]): WebDavEntry[] {
	return entries
		.map((entry) => ({ entry, bytes: Buffer.from(entry.isFolder ? `${entry.name}/` : entry.name) }))
		.sort((a, b) => Buffer.compare(a.bytes, b.bytes))
		.map(({ entry }) => entry);
}
