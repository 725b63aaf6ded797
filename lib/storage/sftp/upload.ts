import type { Duplex, Readable } from 'node:stream';
import type { Stats } from 'ssh2';

import { LifeboatError } from '../../errors';
import { chain } from '../../streams/chain';
import { DigestStream } from '../../streams/digest';
import { ExactLength } from '../../streams/exact-length';
import { keptForNextTry } from '../kept';
import { baseName } from '../keys';
import type { PutOptions } from '../storage';
import { alreadyExists, inTheWay, truncated, vanished } from '../taken';

import { BLOCK } from './blocks';
import { download } from './download';
import { sftpError } from './errors';
import { makeFolder } from './folders';
import { KeptBytes } from './kept-bytes';
import { PartFile } from './part-file';
import { publishNew, publishReplacing } from './publish';
import { RemoteFile } from './remote-file';
import { send } from './send';
import type { SftpSessions } from './sessions';
import { assertSpace, explainFailure } from './space';

/** Milliseconds for removing what a failed upload left. */
const cleanupPatience = 5000;

export interface UploadTarget {
	sessions: SftpSessions;
	description: string;
	key: string;
	/** Where the key lies on the server. */
	path: string;
}

/**
 * Writes a temporary file, has it flushed, and gives it its name. What the source throws passes unchanged. Of an upload that may be
 * taken up again (`resumable`), the temporary file stays if the connection is lost for good.
 */
export async function upload(target: UploadTarget, source: Readable, options: PutOptions): Promise<Stats> {
	const { sessions, key, path, description } = target;
	const { signal, size, ifExists = 'fail', resumable } = options;
	const action = `Uploading ${key} to ${description}`;
	const folder = path.slice(0, path.lastIndexOf('/'));
	const part = PartFile.of(
		resumable && size !== undefined ? { name: baseName(key), size, sha256: resumable.sha256 } : undefined,
	);
	const temporary = `${folder}/${part.name}`;
	const file = new RemoteFile(sessions, temporary, (session) => makeFolder(session, folder), signal);
	const asked = <Result>(run: Promise<Result>) =>
		run.catch(async (error: unknown) => {
			throw sftpError(await explainFailure(target, folder, error), action, path);
		});
	const lookUp = () => asked(sessions.run(signal, (session) => session.lstat(path)));
	let touched = false;
	try {
		const before = await lookUp();
		if (before && ifExists === 'fail') throw alreadyExists(key, description);
		if (before && !before.isFile()) throw inTheWay(path);
		touched = true;
		const there = await asked(part.takeUp(sessions, folder, before, signal));
		if (there > 0) file.goOn();
		await asked(file.open());
		if (size !== undefined) await asked(assertSpace(target, folder, size - there));
		const kept = there > 0 ? await asked(readKept({ ...target, path: temporary }, there, signal)) : undefined;
		const sent = await send(
			checked(source, key, options, there > 0),
			BLOCK,
			signal,
			async (data, position) => {
				if (!(await kept?.has(data))) await asked(file.write(data, position));
			},
		).finally(() => kept?.close());
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
		if (part.content && file.hasBytes && !signal?.aborted && isLost(error)) throw keptForNextTry(error);
		if (touched) await removeQuietly(sessions, temporary);
		throw error;
	} finally {
		part.release();
	}
	const stored = await lookUp();
	if (stored) return stored;
	throw vanished(key, description);
}

/** A source that fails unless it is what it was said to be. */
function checked(source: Readable, key: string, { size, resumable }: PutOptions, hashed: boolean): Readable {
	if (size === undefined) return source;
	const stages: Duplex[] = [new ExactLength(size, `The source of ${key}`)];
	if (hashed && resumable) stages.push(new DigestStream({ size, ...resumable, what: `source of ${key}` }));
	return chain(source, stages);
}

/** What is there is read and compared, so that no byte of the broken upload is trusted. */
async function readKept(
	target: UploadTarget,
	length: number,
	signal: AbortSignal | undefined,
): Promise<KeptBytes | undefined> {
	const stream = await download(target, { range: { start: 0, end: length - 1 }, ...(signal && { signal }) });
	return stream && new KeptBytes(stream);
}

/** Whether the next try may well go on: a connection was lost for good, that to the server or that of the source. */
function isLost(error: unknown): error is LifeboatError {
	return error instanceof LifeboatError && error.code === 'CONNECTION_FAILED';
}

/** Leftovers of a server that is gone are found by `removeUnfinished` later. */
async function removeQuietly(sessions: SftpSessions, path: string): Promise<void> {
	const stop = AbortSignal.timeout(cleanupPatience);
	await sessions.run(stop, (session) => session.remove(path), cleanupPatience).catch(() => {});
}
