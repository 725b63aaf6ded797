import { Status, connectionLost, statusOf } from './errors';
import type { Connection } from './connect';
import type { FileEntryWithStats, Stats } from 'ssh2';

type Done<Result> = (error: Error | null | undefined, result: Result) => void;

/** How many time-outs long a request may take that makes the server write much to its disk. */
const SLOW = 10;

/**
 * One connection to an SFTP server. Requests may be sent before earlier ones are answered. Each fails once the connection has
 * ended, or once nothing has been answered for the time-out while something was asked.
 */
export class SftpSession {
	private readonly waiting = new Set<(error: Error) => void>();

	private failure: Error | undefined;

	private slow = 0;

	/** Time-outs without any answer. */
	private silence = 0;

	private readonly timer: NodeJS.Timeout;

	/** @param timeout milliseconds. */
	constructor(
		private readonly connection: Connection,
		timeout: number,
	) {
		const { client, sftp } = connection;
		const lost = () => this.end(connectionLost('the connection ended'));
		client.on('error', (error) => this.end('code' in error ? error : connectionLost(error.message)));
		client.on('end', lost);
		client.on('close', lost);
		sftp.on('error', lost);
		sftp.on('end', lost);
		sftp.on('close', lost);
		this.timer = setTimeout(() => {
			this.silence += 1;
			if (this.waiting.size === 0 || this.silence < (this.slow > 0 ? SLOW : 1)) this.timer.refresh();
			else this.end(connectionLost('no answer', 'ETIMEDOUT'));
		}, timeout).unref();
	}

	get alive(): boolean {
		return this.failure === undefined;
	}

	/** Ends the connection; what still waits fails. */
	end(reason: Error = connectionLost('the connection was closed')): void {
		if (this.failure) return;
		this.failure = reason;
		clearTimeout(this.timer);
		for (const fail of this.waiting) fail(reason);
		this.waiting.clear();
		this.connection.client.destroy();
	}

	open(path: string, flags: 'r' | 'r+' | 'w' | 'wx', mode = 0o600): Promise<Buffer> {
		return this.ask((done) => this.sftp.open(path, flags, { mode }, done));
	}

	async close(handle: Buffer): Promise<void> {
		await this.ask((done: Done<void>) => this.sftp.close(handle, (error) => done(error)));
	}

	/** Reads into a buffer and tells how many bytes came: fewer than asked for, possibly; none at the end of the file. */
	read(handle: Buffer, into: Buffer, position: number): Promise<number> {
		return this.ask((done) => this.sftp.read(handle, into, 0, into.length, position, done));
	}

	async write(handle: Buffer, data: Buffer, position: number): Promise<void> {
		await this.ask((done: Done<void>) =>
			this.sftp.write(handle, data, 0, data.length, position, (error) => done(error)),
		);
	}

	fstat(handle: Buffer): Promise<Stats> {
		return this.ask((done) => this.sftp.fstat(handle, done));
	}

	/** Nothing if nothing has that name. */
	lstat(path: string): Promise<Stats | undefined> {
		return absentAsNothing(this.ask<Stats>((done) => this.sftp.lstat(path, done)));
	}

	/** Sets the time of last modification, in seconds since 1970. */
	async setTime(path: string, seconds: number): Promise<void> {
		await this.ask((done: Done<void>) => this.sftp.utimes(path, seconds, seconds, (error) => done(error)));
	}

	/** All names in a folder; none if it isn't there. */
	async readFolder(path: string): Promise<FileEntryWithStats[]> {
		const handle = await absentAsNothing(this.ask<Buffer>((done) => this.sftp.opendir(path, done)));
		if (!handle) return [];
		const entries: FileEntryWithStats[] = [];
		try {
			for (;;) {
				const more = await this.ask<FileEntryWithStats[]>((done) => this.sftp.readdir(handle, done));
				for (const entry of more) entries.push(entry);
			}
		} catch (error) {
			if (statusOf(error) !== Status.EOF) throw error;
		} finally {
			if (this.alive) await this.close(handle);
		}
		return entries;
	}

	async makeFolder(path: string): Promise<void> {
		await this.ask((done: Done<void>) => this.sftp.mkdir(path, { mode: 0o700 }, (error) => done(error)));
	}

	/** One that isn't there is no error. */
	async remove(path: string): Promise<void> {
		await absentAsNothing(this.ask((done: Done<void>) => this.sftp.unlink(path, (error) => done(error))));
	}

	/** As the server does it: many refuse an existing target, some replace it. */
	async rename(from: string, to: string): Promise<void> {
		await this.ask((done: Done<void>) => this.sftp.rename(from, to, (error) => done(error)));
	}

	/** Renames in one step, in place of what has that name. @returns false where the server can't. */
	posixRename(from: string, to: string): Promise<boolean> {
		return this.extension((done) => this.sftp.ext_openssh_rename(from, to, done));
	}

	/** A second name for a file, never in place of another. @returns false where the server can't. */
	link(from: string, to: string): Promise<boolean> {
		return this.extension((done) => this.sftp.ext_openssh_hardlink(from, to, done));
	}

	/** Waits until a file lies on the disk. @returns false where the server can't tell. */
	async sync(handle: Buffer): Promise<boolean> {
		this.slow += 1;
		try {
			return await this.extension((done) => this.sftp.ext_openssh_fsync(handle, done));
		} finally {
			this.slow -= 1;
		}
	}

	/** Bytes free in the file system of a path, where the server tells. */
	async freeSpace(path: string): Promise<bigint | undefined> {
		let found: { f_frsize: number; f_bavail: number; f_blocks: number } | undefined;
		const known = await this.extension((done) =>
			this.sftp.ext_openssh_statvfs(path, (error, info) => {
				found = info as typeof found;
				done(error);
			}),
		);
		// Some network file systems don't tell their size.
		if (!known || !found || Number(found.f_blocks) === 0) return undefined;
		return BigInt(found.f_frsize) * BigInt(found.f_bavail);
	}

	private get sftp() {
		return this.connection.sftp;
	}

	private async extension(start: (done: (error?: Error | null) => void) => void): Promise<boolean> {
		try {
			await this.ask<void>((done) => {
				try {
					start((error) => done(error));
				} catch (error) {
					// Thrown at once for what the server didn't name when it greeted.
					done(Object.assign(error as Error, { code: Status.OP_UNSUPPORTED }));
				}
			});
			return true;
		} catch (error) {
			if (statusOf(error) === Status.OP_UNSUPPORTED) return false;
			throw error;
		}
	}

	private ask<Result>(start: (done: Done<Result>) => void): Promise<Result> {
		return new Promise((resolve, reject) => {
			if (this.failure) {
				reject(this.failure);
				return;
			}
			if (this.waiting.size === 0) this.answered();
			this.waiting.add(reject);
			start((error, result) => {
				if (!this.waiting.delete(reject)) return;
				this.answered();
				if (!error) resolve(result);
				// An error without a status is the library's: the channel has gone.
				else reject(statusOf(error) === undefined ? (this.failure ?? connectionLost(error.message)) : error);
			});
		});
	}

	private answered(): void {
		this.silence = 0;
		this.timer.refresh();
	}
}

async function absentAsNothing<Result>(asked: Promise<Result>): Promise<Result | undefined> {
	try {
		return await asked;
	} catch (error) {
		if (statusOf(error) === Status.NO_SUCH_FILE) return undefined;
		throw error;
	}
}
