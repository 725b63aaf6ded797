import { once, setMaxListeners } from 'node:events';

import { LifeboatError } from '../../errors';
import { persist } from '../persist';

import { FtpConnection } from './connection';
import { isConnectionError } from './errors';
import type { FtpSettings } from './settings';

/** Milliseconds for which a server that was never reached is tried: longer would only keep the operator from their typing error. */
const firstPatience = 5000;

/** The connections of a storage: each does one thing at a time, and only so many are open. */
export class FtpPool {
	private readonly idle: FtpConnection[] = [];

	private readonly busy = new Set<FtpConnection>();

	private opening = 0;

	private reached = false;

	private closed = false;

	private readonly freed = new EventTarget();

	readonly timeout: number;

	private readonly patience: number;

	private readonly most: number;

	constructor(private readonly settings: FtpSettings) {
		this.timeout = settings.timeout ?? 60_000;
		this.patience = settings.patience ?? 120_000;
		this.most = settings.connections ?? 5;
		setMaxListeners(0, this.freed);
	}

	/** Milliseconds for which an outage is bridged now. */
	get patienceNow(): number {
		return this.reached ? this.patience : Math.min(this.patience, firstPatience);
	}

	/** Does something that may be done again when the connection was lost over it. An abort ends the connection. */
	async run<Result>(
		signal: AbortSignal | undefined,
		job: (connection: FtpConnection) => Promise<Result>,
		patience?: number,
	): Promise<Result> {
		return await persist(
			{ patience: patience ?? this.patienceNow, signal, mayPass: isConnectionError },
			async () => await this.once(signal, job),
		);
	}

	/** Does something once. */
	async once<Result>(
		signal: AbortSignal | undefined,
		job: (connection: FtpConnection) => Promise<Result>,
	): Promise<Result> {
		const connection = await this.take(signal);
		const stop = () => connection.close();
		signal?.addEventListener('abort', stop, { once: true });
		try {
			return await job(connection);
		} catch (error) {
			signal?.throwIfAborted();
			throw error;
		} finally {
			signal?.removeEventListener('abort', stop);
			this.giveBack(connection);
		}
	}

	/** A connection of one's own, until it is given back. */
	async take(signal?: AbortSignal): Promise<FtpConnection> {
		for (;;) {
			signal?.throwIfAborted();
			if (this.closed) {
				throw new LifeboatError('STORAGE_FAILED', 'The connection to the FTP server was closed', {
					hint: 'Run the node again',
				});
			}
			const connection = this.idle.pop();
			if (connection?.alive) {
				this.busy.add(connection);
				return connection;
			}
			if (connection) continue;
			if (this.busy.size + this.opening < this.most) return await this.open(signal);
			await once(this.freed, 'freed', signal && { signal });
		}
	}

	giveBack(connection: FtpConnection): void {
		if (!this.busy.delete(connection)) return;
		if (this.closed) connection.close();
		else if (connection.alive) this.idle.push(connection);
		this.freed.dispatchEvent(new Event('freed'));
	}

	async close(): Promise<void> {
		this.closed = true;
		for (const connection of [...this.idle, ...this.busy]) connection.close();
		this.idle.length = 0;
		this.freed.dispatchEvent(new Event('freed'));
	}

	private async open(signal: AbortSignal | undefined): Promise<FtpConnection> {
		this.opening += 1;
		try {
			const connection = await FtpConnection.open(this.settings, this.timeout, signal);
			this.reached = true;
			this.busy.add(connection);
			return connection;
		} finally {
			this.opening -= 1;
			this.freed.dispatchEvent(new Event('freed'));
		}
	}
}
