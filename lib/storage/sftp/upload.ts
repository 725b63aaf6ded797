import { randomBytes } from 'node:crypto';
import { addAbortSignal, type Readable } from 'node:stream';
import type { Stats } from 'ssh2';

import { LifeboatError } from '../../errors';
import { TEMPORARY_PREFIX } from '../../streams/atomic-file';
import { chain } from '../../streams/chain';
import { ExactLength } from '../../streams/exact-length';
import type { PutOptions } from '../storage';
import { alreadyExists, inTheWay, truncated, vanished } from '../taken';

import { blocks } from './blocks';
import { sftpError, Status, statusOf } from './errors';
import { makeFolder } from './folders';
import { publishNew, publishReplacing } from './publish';
import { RemoteFile } from './remote-file';
import type { SftpSessions } from './sessions';

/** Bytes under way at once: enough for fast lines, and little enough for a slow one to answer within the time-out. */
const WINDOW = 4 * 1024 * 1024;

/** Milliseconds for removing what a failed upload left. */
const cleanupPatience = 5000;

export interface UploadTarget {
	sessions: SftpSessions;
	description: string;
	key: string;
	/** Where the key lies on the server. */
	path: string;
}

/** Writes a temporary file, has it flushed, and gives it its name. What the source throws passes unchanged. */
export async function upload(target: UploadTarget, source: Readable, options: PutOptions): Promise<Stats> {
	const { sessions, key, path, description } = target;
	const { signal, size, ifExists = 'fail' } = options;
	const action = `Uploading ${key} to ${description}`;
	const folder = path.slice(0, path.lastIndexOf('/'));
	const temporary = `${folder}/${TEMPORARY_PREFIX}${randomBytes(9).toString('hex')}.part`;
	const file = new RemoteFile(sessions, temporary, (session) => makeFolder(session, folder), signal);
	const asked = <Result>(run: Promise<Result>) =>
		run.catch(async (error: unknown) => {
			throw sftpError(await explain(target, folder, error), action, path);
		});
	const lookUp = () => asked(sessions.run(signal, (session) => session.lstat(path)));
	let touched = false;
	try {
		const before = await lookUp();
		if (before && ifExists === 'fail') throw alreadyExists(key, description);
		if (before && !before.isFile()) throw inTheWay(path);
		touched = true;
		await asked(file.open());
		if (size !== undefined) await asked(assertSpace(target, folder, size));
		const checked =
			size === undefined ? source : chain(source, [new ExactLength(size, `The source of ${key}`)]);
		const sent = await send(checked, signal, (data, position) => asked(file.write(data, position)));
		const written = await asked(file.finish());
		if (written.size !== sent) throw truncated(key, description, sent, written.size);
		// Times have seconds only: whoever reads the old one must be able to tell that there is another now.
		if (before && before.mtime >= written.mtime) {
			await asked(sessions.run(signal, (session) => session.setTime(temporary, before.mtime + 1)));
		}
		signal?.throwIfAborted();
		// From here on there is no way back: an abort would not tell whether the object is there.
		const publication = { ...target, temporary };
		await asked(ifExists === 'fail' ? publishNew(publication) : publishReplacing(publication));
	} catch (error) {
		source.destroy();
		file.abandon();
		if (touched) await removeQuietly(sessions, temporary);
		throw error;
	}
	const stored = await lookUp();
	if (stored) return stored;
	throw vanished(key, description);
}

/** Hands on all bytes of a source, several blocks at once. A write that fails ends it at once. @returns how many bytes. */
async function send(
	source: Readable,
	signal: AbortSignal | undefined,
	write: (data: Buffer, position: number) => Promise<void>,
): Promise<number> {
	if (signal) addAbortSignal(signal, source);
	const flights = new Set<Promise<void>>();
	let [sent, waiting] = [0, 0];
	let failed: { error: unknown } | undefined;
	const launch = (data: Buffer) => {
		const flight = write(data, sent)
			.catch((error: unknown) => {
				failed ??= { error };
				source.destroy(error as Error);
			})
			.finally(() => {
				waiting -= data.length;
				flights.delete(flight);
			});
		flights.add(flight);
		sent += data.length;
		waiting += data.length;
	};
	try {
		for await (const data of blocks(source)) {
			launch(data);
			while (waiting >= WINDOW && !failed) await Promise.race(flights);
			if (failed) break;
		}
	} catch (error) {
		// What the server said comes back from the source that it destroyed.
		throw failed ? failed.error : error;
	}
	await Promise.all(flights);
	signal?.throwIfAborted();
	if (failed) throw failed.error;
	return sent;
}

/** SFTP has no answer for a full disk: a plain failure while writing is one if the file system has no room. */
async function explain(target: UploadTarget, folder: string, error: unknown): Promise<unknown> {
	if (statusOf(error) !== Status.FAILURE) return error;
	const free = await freeSpace(target, folder).catch(() => undefined);
	if (free === undefined || free >= BigInt(WINDOW)) return error;
	return new LifeboatError(
		'DISK_FULL',
		`No space left while writing ${target.key} to ${target.description}`,
		{
			hint: 'Free space on the disk of the server, or raise the quota, then run the node again. Nothing incomplete was kept',
			cause: error,
		},
	);
}

const freeSpace = ({ sessions }: UploadTarget, folder: string) =>
	sessions.run(undefined, (session) => session.freeSpace(folder), 0);

async function assertSpace(target: UploadTarget, folder: string, size: number): Promise<void> {
	const free = await freeSpace(target, folder);
	if (free === undefined || free >= BigInt(size)) return;
	throw new LifeboatError(
		'DISK_FULL',
		`${target.description} has ${free} bytes free, the backup needs ${size}`,
		{ hint: 'Free space on the disk of the server, or choose a folder on another one. Nothing was written' },
	);
}

/** Leftovers of a server that is gone are found by `removeUnfinished` later. */
async function removeQuietly(sessions: SftpSessions, path: string): Promise<void> {
	const stop = AbortSignal.timeout(cleanupPatience);
	await sessions.run(stop, (session) => session.remove(path), cleanupPatience).catch(() => {});
}
