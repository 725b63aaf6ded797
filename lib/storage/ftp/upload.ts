import { randomBytes } from 'node:crypto';
import { addAbortSignal, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../../errors';
import { TEMPORARY_PREFIX } from '../../streams/atomic-file';
import { chain } from '../../streams/chain';
import { ExactLength } from '../../streams/exact-length';
import type { PutOptions } from '../storage';
import { alreadyExists, inTheWay, truncated, vanished } from '../taken';

import type { FtpConnection } from './connection';
import { ftpError } from './errors';
import type { Facts } from './facts';
import type { FtpPool } from './pool';
import { publishNew, publishReplacing } from './publish';

/** Milliseconds for removing what a failed upload left. */
const cleanupPatience = 5000;

export interface UploadTarget {
	pool: FtpPool;
	description: string;
	key: string;
	path: string;
}

/** Writes a temporary file, compares its size with what was sent, and gives it its name. What the source throws passes unchanged. */
export async function upload(target: UploadTarget, source: Readable, options: PutOptions): Promise<Facts> {
	const { pool, key, path, description } = target;
	const { signal, size, ifExists = 'fail' } = options;
	const folder = path.slice(0, path.lastIndexOf('/'));
	const temporary = `${folder}/${TEMPORARY_PREFIX}${randomBytes(9).toString('hex')}.part`;
	const asked = <Result>(run: Promise<Result>) =>
		run.catch((error: unknown) => {
			throw ftpError(error, `Uploading ${key} to ${description}`, path);
		});
	const lookUp = () => asked(pool.run(signal, (connection) => connection.look(path)));
	let touched = false;
	try {
		const before = await lookUp();
		if (before && ifExists === 'fail') throw alreadyExists(key, description);
		if (before && before.kind !== 'file') throw inTheWay(path);
		await asked(pool.run(signal, (connection) => makeFolder(connection, folder)));
		touched = true;
		const checked =
			size === undefined ? source : chain(source, [new ExactLength(size, `The source of ${key}`)]);
		const sent = await send(checked, signal, (counted) =>
			asked(pool.once(signal, (connection) => connection.store(temporary, counted))),
		);
		// That the connection for the data has ended proves nothing.
		const stored = await asked(pool.run(signal, (connection) => connection.look(temporary)));
		if (stored?.size !== sent) throw truncated(key, description, sent, stored?.size ?? 0);
		signal?.throwIfAborted();
		// From here on there is no way back: an abort would not tell whether the object is there.
		const publication = { ...target, temporary };
		await asked(ifExists === 'fail' ? publishNew(publication) : publishReplacing(publication));
	} catch (error) {
		source.destroy();
		if (touched) await removeQuietly(pool, temporary);
		throw error;
	}
	const stored = await lookUp();
	if (stored) return stored;
	throw vanished(key, description);
}

/** Hands on a source, and counts. @returns how many bytes. */
async function send(
	source: Readable,
	signal: AbortSignal | undefined,
	store: (counted: Readable) => Promise<void>,
): Promise<number> {
	if (signal) addAbortSignal(signal, source);
	let sent = 0;
	let failed: { error: unknown } | undefined;
	async function* count(): AsyncGenerator<Buffer> {
		const chunks = (source as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
		try {
			for (;;) {
				// Only here it is the source that fails; at the yield it would be the connection.
				const next = await chunks.next().catch((error: unknown) => {
					failed = { error };
					throw error;
				});
				if (next.done) return;
				sent += next.value.length;
				yield next.value;
			}
		} finally {
			await chunks.return?.();
		}
	}
	try {
		await store(Readable.from(count(), { objectMode: false }));
	} catch (error) {
		// What the source threw is what counts, not what the library made of it.
		throw failed ? failed.error : error;
	}
	return sent;
}

async function makeFolder(connection: FtpConnection, folder: string): Promise<void> {
	if (await connection.enter(folder)) return;
	const parent = folder.slice(0, folder.lastIndexOf('/'));
	if (parent !== '') await makeFolder(connection, parent);
	try {
		await connection.makeFolder(folder);
	} catch (error) {
		// Another may have made it meanwhile.
		if (await connection.enter(folder)) return;
		if (!(await connection.look(folder))) throw error;
		throw new LifeboatError('INVALID_KEY', `${folder} cannot be a folder: a file has that name`, {
			hint: 'Choose another folder or key',
			cause: error,
		});
	}
}

/**
 * A server that was just cut off may only now begin to write: so it is looked for twice. Leftovers of a server that is gone are
 * found by `removeUnfinished` later.
 */
async function removeQuietly(pool: FtpPool, path: string): Promise<void> {
	const stop = AbortSignal.timeout(cleanupPatience);
	const remove = () => pool.run(stop, (connection) => connection.remove(path), cleanupPatience);
	await remove()
		.then(() => sleep(100))
		.then(remove)
		.catch(() => {});
}
