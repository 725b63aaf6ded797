import { Status, statusOf } from './errors';
import type { SftpSession } from './session';
import type { SftpSessions } from './sessions';

/**
 * A file that is being written. Where a piece belongs is told with it, so that pieces which no connection answered for are simply
 * written again over the next one.
 */
export class RemoteFile {
	private opened: { session: SftpSession; handle: Promise<Buffer> } | undefined;

	private created = false;

	private readonly abandoned = new AbortController();

	private readonly signal: AbortSignal;

	/** @param prepare called when the folder of the file is missing. */
	constructor(
		private readonly sessions: SftpSessions,
		readonly path: string,
		private readonly prepare: (session: SftpSession) => Promise<void>,
		signal?: AbortSignal,
	) {
		const { signal: own } = this.abandoned;
		this.signal = signal ? AbortSignal.any([signal, own]) : own;
	}

	/** Whether something of it is known to lie on the server. */
	hasBytes = false;

	/** Takes the file for one that is there already. */
	goOn(): void {
		this.created = true;
		this.hasBytes = true;
	}

	/** Makes the file, or opens it again. */
	async open(): Promise<void> {
		await this.sessions.run(this.signal, (session) => this.handle(session));
	}

	async write(data: Buffer, position: number): Promise<void> {
		await this.sessions.run(this.signal, async (session) => {
			await session.write(await this.handle(session), data, position);
			this.hasBytes = true;
		});
	}

	/** Waits until all of it lies on the disk, where the server can tell; closes it. @returns its size and time. */
	async finish(): Promise<{ size: number; mtime: number }> {
		return await this.sessions.run(this.signal, async (session) => {
			const handle = await this.handle(session);
			await session.sync(handle);
			const { size, mtime } = await session.fstat(handle);
			this.opened = undefined;
			await session.close(handle);
			return { size, mtime };
		});
	}

	/** Lets go of it without a word: what comes next removes it. */
	abandon(): void {
		this.abandoned.abort();
		const { session, handle } = this.opened ?? {};
		this.opened = undefined;
		void handle?.then((open) => session?.close(open)).catch(() => {});
	}

	private async handle(session: SftpSession): Promise<Buffer> {
		if (this.opened?.session !== session) this.opened = { session, handle: this.openOn(session) };
		return await this.opened.handle;
	}

	private async openOn(session: SftpSession): Promise<Buffer> {
		if (this.created) return await session.open(this.path, 'r+');
		let handle: Buffer;
		try {
			// Its name is a random one of ours: what has it is from an attempt whose answer was lost.
			handle = await session.open(this.path, 'w');
		} catch (error) {
			// Servers differ in what they answer where the folder is missing.
			if (![Status.NO_SUCH_FILE, Status.FAILURE].some((status) => status === statusOf(error))) throw error;
			await this.prepare(session);
			// What removes an abandoned file must not come before it.
			this.signal.throwIfAborted();
			handle = await session.open(this.path, 'w');
		}
		this.created = true;
		return handle;
	}
}
