import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import type { Artifact } from '../../../lib/artifact/artifact';
import { storedArtifact } from '../../../lib/artifact/file-artifact';
import type { Manifest } from '../../../lib/artifact/manifest';
import { produceArtifact } from '../../../lib/artifact/produce';
import type { Storage, StoredObject } from '../../../lib/storage/storage';

import { inChunks } from './conformance';

/** A backup that is made while it is stored: size and hash are known at its end only. */
export function lazyBackup(content: Buffer, name = 'shop', finish?: () => never): Artifact {
	return produceArtifact(
		{
			...{ name, kind: 'files', format: 'tar', extension: '.tar' },
			source: { type: 'files', paths: ['/srv/shop'] },
			now: new Date('2026-11-21T02:00:00Z'),
		},
		async () => ({ stream: inChunks(content), finish: async () => finish?.() ?? {} }),
	);
}

/** A backup that lies ready, with its manifest. */
export async function stagedBackup(
	content: Buffer = randomBytes(100_000),
	name = 'shop',
): Promise<Artifact & { manifest: Manifest }> {
	const opened = await lazyBackup(content, name).open();
	await pipeline(opened.stream, async (source: AsyncIterable<unknown>) => {
		for await (const chunk of source) void chunk;
	});
	return storedArtifact(await opened.finish(), async () => inChunks(content));
}

/** Stores an object without regard to what is there. */
export async function putRaw(storage: Storage, key: string, content: string | Buffer): Promise<StoredObject> {
	return storage.put(key, Readable.from([Buffer.from(content)]), { ifExists: 'replace' });
}

/** The storage with some methods changed. */
export function changed(storage: Storage, changes: Partial<Storage>): Storage {
	return {
		description: storage.description,
		put: (...args) => storage.put(...args),
		get: (...args) => storage.get(...args),
		stat: (...args) => storage.stat(...args),
		list: (...args) => storage.list(...args),
		delete: (...args) => storage.delete(...args),
		removeUnfinished: (...args) => storage.removeUnfinished(...args),
		unfinished: (...args) => storage.unfinished(...args),
		close: () => storage.close(),
		...changes,
	};
}

/**
 * The storage as a process sees it that dies after so many changes: from then on nothing it wants happens any more, its
 * tidying up included.
 */
export function dyingAfter(changes: number, storage: Storage): Storage {
	let left = changes;
	const count = <Args extends unknown[], Result>(run: (...args: Args) => Promise<Result>) => {
		return async (...args: Args) => {
			if (left === 0) throw new Error('the process is dead');
			left -= 1;
			return run(...args);
		};
	};
	return changed(storage, {
		put: count((...args: Parameters<Storage['put']>) => storage.put(...args)),
		delete: count((...args: Parameters<Storage['delete']>) => storage.delete(...args)),
	});
}
