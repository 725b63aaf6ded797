import { Transform, type Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError, messageOf } from '../../errors';
import { chain } from '../../streams/chain';
import { ExactLength } from '../../streams/exact-length';
import type { PutOptions } from '../storage';
import { alreadyExists } from '../taken';

import { withClaim } from './claim';
import { hasStatus, mayPass, StatusError } from './errors';
import { repeat, send, sendOnce } from './exchange';
import { makeFolder, parentOf } from './folders';
import { assertListed, temporaryName } from './names';
import { lookUp, type WebDavEntry } from './propfind';
import { quotaOf } from './quota';
import { sendStream } from './send-stream';
import { addressOf, type WebDavTarget } from './target';

/** Bytes from which on an upload first asks whether there is room. */
const ASK_FOR_SPACE = 1024 * 1024;

/**
 * Stores a stream: under a temporary name, whose size is then compared, and which is renamed.
 *
 * @returns what the server tells of it.
 * @throws as `Storage.put`, SourceFailed, StatusError, or what happened on the network.
 */
export async function upload(
	target: WebDavTarget,
	key: string,
	source: Readable,
	{ size, ifExists = 'fail', contentType, signal = new AbortController().signal }: PutOptions,
): Promise<WebDavEntry> {
	const path = target.root + key;
	signal.throwIfAborted();
	await makeFolder(target, parentOf(path), signal);
	await assertListed(target, key, signal);
	const existing = await lookUp(target, path, signal);
	if (existing?.isFolder) throw folderThere(target, path);
	if (existing && ifExists === 'fail') throw alreadyExists(path, target.description);
	if (existing?.versionBySecond) await passSecond(target, existing, signal);

	if (size !== undefined) await assertSpace(target, parentOf(path), size, signal);

	const temporary = parentOf(path) + temporaryName('unfinished');
	try {
		const sent = await sendCounted(target, temporary, source, { size, contentType, signal });
		const there = await lookUp(target, temporary, signal);
		if (there?.size !== sent) throw incomplete(target, path, sent, there?.size);
		await publish(target, temporary, path, there, ifExists, signal);
	} catch (error) {
		throw await cleanUp(target, temporary, error);
	}
	const stored = await lookUp(target, path, signal);
	if (stored) return stored;
	throw new LifeboatError(
		'STORAGE_FAILED',
		`${path} in ${target.description} is not there although it was stored`,
		{
			hint: 'Something else removes files there. Run the node again',
		},
	);
}

/** Before a byte is sent, as far as the server tells. @throws LifeboatError `DISK_FULL`. */
async function assertSpace(
	target: WebDavTarget,
	folder: string,
	size: number,
	signal: AbortSignal,
): Promise<void> {
	// Sidecars are small: a question for each would cost more than it tells.
	if (size < ASK_FOR_SPACE) return;
	const quota = await quotaOf(target, folder, signal);
	if (!quota || quota.available >= size) return;
	throw new LifeboatError(
		'DISK_FULL',
		`${target.description} has ${quota.available} bytes free, the backup needs ${size}`,
		{
			hint: 'Remove old backups (and empty the trash bin of a Nextcloud), or raise the quota. Nothing was written',
		},
	);
}

/** Sends the stream and returns how many bytes it had. */
async function sendCounted(
	target: WebDavTarget,
	path: string,
	source: Readable,
	{ size, contentType, signal }: { size?: number; contentType?: string; signal: AbortSignal },
): Promise<number> {
	let sent = 0;
	const counter = new Transform({
		transform(chunk: Buffer, _encoding, done) {
			sent += chunk.length;
			done(null, chunk);
		},
	});
	const stages = [...(size === undefined ? [] : [new ExactLength(size, `The source of ${path}`)]), counter];
	const headers = { 'content-type': contentType ?? 'application/octet-stream' };
	await sendStream(target, path, chain(source, stages, signal), { size, headers, signal });
	return sent;
}

async function publish(
	target: WebDavTarget,
	temporary: string,
	path: string,
	object: WebDavEntry,
	ifExists: 'fail' | 'replace',
	signal: AbortSignal,
): Promise<void> {
	if (ifExists === 'replace') return await rename(target, temporary, path, object, 'T', signal);
	const isFutile = async () => {
		if (await lookUp(target, path, signal)) throw alreadyExists(path, target.description);
	};
	await withClaim(target, path, { now: object.modifiedAt, isFutile, signal }, async () => {
		await isFutile();
		await rename(target, temporary, path, object, 'F', signal);
	});
}

/** Renames, and finds out whether it did when the answer was lost. */
async function rename(
	target: WebDavTarget,
	temporary: string,
	path: string,
	object: WebDavEntry,
	overwrite: 'T' | 'F',
	signal: AbortSignal,
): Promise<void> {
	const { href } = addressOf(target, path);
	const inside = href.replace(/^https:/, 'http:');
	let unsure = false;
	const move = async (retry: boolean): Promise<void> => {
		if (unsure && !(await lookUp(target, temporary, signal))) {
			const there = await lookUp(target, path, signal);
			if (there?.size === object.size) return;
			throw incomplete(target, path, object.size, there?.size);
		}
		const headers = { destination: target.endsTls ? inside : href, overwrite };
		try {
			// A server may copy instead, which takes its time.
			const request = { headers, signal, timeout: 5 * target.timeout };
			const answer = await sendOnce(target, 'MOVE', temporary, request);
			answer.resume();
			if (answer.statusCode === 207) throw new StatusError(207);
		} catch (error) {
			if (hasStatus(error, 412) && overwrite === 'F') throw alreadyExists(path, target.description, error);
			unsure = true;
			if (!retry || inside === href || !hasStatus(error, 400, 502)) throw error;
			// Apache's answers behind a proxy that ends TLS: it knows itself by http only, and takes no path alone.
			target.endsTls = !target.endsTls;
			await move(false);
		}
	};
	await repeat(signal, () => move(true));
}

/**
 * Removes the temporary file, even after an abort, and returns the error to throw. A server that was still about to write what it
 * had got when it was asked is asked once more.
 */
async function cleanUp(target: WebDavTarget, temporary: string, error: unknown): Promise<unknown> {
	try {
		for (const delay of [0, 200]) {
			if (delay > 0) await sleep(delay);
			const answer = await send(target, 'DELETE', temporary, {}, [404]);
			answer.resume();
			if (answer.statusCode !== 404) break;
		}
		return error;
	} catch (failure) {
		// Where the server can't be reached, or lets nobody in, the error itself says enough.
		if (mayPass(failure) || hasStatus(failure, 401)) return error;
		return new LifeboatError(
			error instanceof LifeboatError ? error.code : 'STORAGE_FAILED',
			`${messageOf(error)}. Its temporary file ${temporary} in ${target.description} could not be removed`,
			{
				hint: 'Remove it later: it costs space. Nothing is visible under the key',
				cause: new AggregateError([error, failure], messageOf(error)),
			},
		);
	}
}

/**
 * Waits until the server's clock shows another second than that in which the object was written: servers that tell one version from
 * another by the second would not see that it was replaced.
 */
async function passSecond(target: WebDavTarget, existing: WebDavEntry, signal: AbortSignal): Promise<void> {
	const answer = await send(target, 'OPTIONS', target.root, { signal }, [403, 404, 405, 501]);
	answer.resume();
	const now = Date.parse(answer.headers.date ?? '') || Date.now();
	const age = now - existing.modifiedAt.getTime();
	if (age < 1000 && age > -60_000) await sleep(1000 - Math.min(age, 0), undefined, { signal });
}

function folderThere(target: WebDavTarget, path: string): LifeboatError {
	return new LifeboatError('INVALID_KEY', `${path} in ${target.description} is a folder`, {
		hint: 'Choose another key',
	});
}

function incomplete(
	target: WebDavTarget,
	path: string,
	sent: number,
	found: number | undefined,
): LifeboatError {
	const what = found === undefined ? 'nothing' : `${found} bytes`;
	return new LifeboatError(
		'INCOMPLETE',
		`${sent} bytes of ${path} were sent to ${target.description}, but ${what} arrived`,
		{
			hint: 'The server, or a proxy before it, loses data (some do with uploads whose size is not known before: hand the backup over as a file then). Nothing was kept',
		},
	);
}
