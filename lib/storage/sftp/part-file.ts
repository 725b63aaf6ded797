import { createHash, randomBytes } from 'node:crypto';
import type { Stats } from 'ssh2';

import { TEMPORARY_PREFIX } from '../../streams/atomic-file';
import { isDead, self } from '../owner';

import { isConnectionError } from './errors';
import type { SftpSession } from './session';
import type { SftpSessions } from './sessions';

/**
 * Seconds without a write after which an upload counts as that of a dead process, where that can't be known (another container). By
 * the server's clock alone.
 */
const IDLE = 20 * 60;

/** Bytes up to which an upload is rather sent again than taken up. */
const SMALL = 4 * 1024 * 1024;

/** Names of temporary files of this process whose uploads are under way. */
const active = new Set<string>();

/** What is uploaded, where another try will send the very same bytes. */
export interface Content {
	/** Of the file, without its folder. */
	name: string;
	/** Bytes. */
	size: number;
	/** In hexadecimal. */
	sha256: string;
}

/** The temporary file of an upload: a new one, or one that a broken upload of the same content to the same key has left. */
export class PartFile {
	readonly name: string;

	private constructor(readonly content: Content | undefined) {
		const random = randomBytes(9).toString('hex');
		this.name = content
			? `${prefixOf(content)}${ownerTag}.${random}.part`
			: `${TEMPORARY_PREFIX}${random}.part`;
		active.add(this.name);
	}

	/** @param content nothing if the bytes may be others the next time: then the file is of no use to anybody else. */
	static of(content: Content | undefined): PartFile {
		return new PartFile(content && content.size > SMALL ? content : undefined);
	}

	/** To be called when the upload has ended, however it did. What it left may be taken up from then on. */
	release(): void {
		active.delete(this.name);
	}

	/**
	 * Takes up what a broken upload has left in the folder, if anything: it gets the name of this one, which only one run can do.
	 *
	 * @param published what lies under the key now.
	 * @returns how many bytes are there; whether they are the right ones is still to be seen.
	 */
	async takeUp(
		sessions: SftpSessions,
		folder: string,
		published: Stats | undefined,
		signal: AbortSignal | undefined,
	): Promise<number> {
		const { content } = this;
		if (!content) return 0;
		for (const name of await this.leftovers(sessions, folder, signal)) {
			const path = `${folder}/${name}`;
			const stats = await sessions.run(signal, (session) => session.lstat(path));
			if (!stats?.isFile() || stats.size === 0 || stats.size > content.size) continue;
			if (!isOver(name) && !(await isIdle(sessions, folder, stats, signal))) continue;
			if (published?.size === stats.size && published.mtime === stats.mtime) {
				// Killed after it was published, before this name was removed: both may be one file, which is not to be changed.
				await sessions.run(signal, (session) => session.remove(path));
				continue;
			}
			if (await this.take(sessions, path, `${folder}/${this.name}`, signal)) return stats.size;
		}
		return 0;
	}

	private async leftovers(
		sessions: SftpSessions,
		folder: string,
		signal: AbortSignal | undefined,
	): Promise<string[]> {
		const prefix = prefixOf(this.content!);
		const entries = await sessions.run(signal, (session) => session.readFolder(folder));
		return entries
			.filter(({ filename }) => filename.startsWith(prefix))
			.sort((a, b) => b.attrs.size - a.attrs.size)
			.map(({ filename }) => filename);
	}

	/** @returns whether it was this run that got it. */
	private async take(
		sessions: SftpSessions,
		from: string,
		to: string,
		signal: AbortSignal | undefined,
	): Promise<boolean> {
		return await sessions.run(signal, async (session) => {
			try {
				await session.rename(from, to);
				return true;
			} catch (error) {
				if (isConnectionError(error)) throw error;
				// Another run was faster; or this one, and the answer was lost.
				return (await session.lstat(to)) !== undefined;
			}
		});
	}
}

/** The start of the names of all files with a part of this content. */
function prefixOf({ name, size, sha256 }: Content): string {
	const hash = createHash('sha256')
		.update(JSON.stringify([name, size, sha256]))
		.digest('hex');
	return `${TEMPORARY_PREFIX}${hash.slice(0, 32)}.`;
}

const scopeHash = createHash('sha256')
	.update(self.scope ?? '')
	.digest('hex')
	.slice(0, 16);

/** This process, in a name. A rename so hands a file from one owner to the next in one step. */
const ownerTag = `${scopeHash}-${self.pid}-${self.process}`;

/** Whether the upload that wrote a file is known to have ended. */
function isOver(name: string): boolean {
	const [, scope, pid, process] =
		/\.([0-9a-f]{16})-(\d+)-([0-9a-f-]{36})\.[0-9a-f]{18}\.part$/.exec(name) ?? [];
	if (scope === undefined || process === undefined) return false;
	if (process === self.process) return !active.has(name);
	const here = scope === scopeHash && self.scope !== undefined;
	return isDead({ ...(here && { scope: self.scope }), pid: Number(pid), process });
}

async function isIdle(
	sessions: SftpSessions,
	folder: string,
	{ mtime }: Stats,
	signal: AbortSignal | undefined,
): Promise<boolean> {
	const probe = `${folder}/${TEMPORARY_PREFIX}${randomBytes(9).toString('hex')}.part`;
	return (await sessions.run(signal, (session) => serverTime(session, probe))) - mtime > IDLE;
}

/** Seconds since 1970: the time of a file that is written now. */
async function serverTime(session: SftpSession, probe: string): Promise<number> {
	const handle = await session.open(probe, 'w');
	try {
		return (await session.fstat(handle)).mtime;
	} finally {
		await session.close(handle);
		await session.remove(probe);
	}
}
