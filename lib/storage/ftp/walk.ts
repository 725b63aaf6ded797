import { TEMPORARY_PREFIX } from '../../streams/atomic-file';

import type { Facts } from './facts';
import type { FtpPool } from './pool';

/** A file below a folder of the server, or a folder that is a claim of ours. */
export interface RemoteEntry extends Facts {
	/** Relative to the folder. */
	key: string;
	path: string;
}

/**
 * The files whose key starts with the prefix, and claims, in the order of their keys' UTF-8 bytes. Links are neither listed nor
 * followed; what vanishes meanwhile is left out. Memory holds the names of one folder for each level.
 */
export async function* walk(
	pool: FtpPool,
	root: string,
	prefix: string,
	signal?: AbortSignal,
): AsyncGenerator<RemoteEntry> {
	yield* walkFolder(root, '');

	async function* walkFolder(folder: string, parent: string): AsyncGenerator<RemoteEntry> {
		const entries = await pool.run(signal, (connection) => connection.list(folder));
		for (const { sortKey, ...facts } of sorted(entries)) {
			signal?.throwIfAborted();
			const key = parent + sortKey;
			if (!key.startsWith(prefix) && !(facts.kind === 'folder' && prefix.startsWith(key))) continue;
			const path = `${folder}/${facts.name}`;
			const isClaim = facts.name.startsWith(TEMPORARY_PREFIX);
			if (facts.kind === 'file' || isClaim) yield { ...facts, key: parent + facts.name, path };
			else yield* walkFolder(path, key);
		}
	}
}

/** In byte order, folders with `/` at their end: so `a-b` comes before what is in `a`, and `a0` after it. */
function sorted(entries: Facts[]): Array<Facts & { sortKey: string }> {
	return entries
		.filter(({ name, kind }) => name !== '' && name !== '.' && name !== '..' && kind !== 'other')
		.map((facts) => {
			const sortKey = facts.kind === 'folder' ? `${facts.name}/` : facts.name;
			return { facts, sortKey, bytes: Buffer.from(sortKey) };
		})
		.sort((a, b) => Buffer.compare(a.bytes, b.bytes))
		.map(({ facts, sortKey }) => ({ ...facts, sortKey }));
}
