import { LifeboatError } from '../../errors';
import { persist } from '../persist';

import { connect } from './connect';
import { isConnectionError } from './errors';
import { SftpSession } from './session';
import type { SftpSettings } from './settings';

/** Milliseconds for which a server that was never reached is tried: longer would only keep the operator from their typing error. */
const firstPatience = 5000;

/** The connection of a storage, opened when first needed and again when it was lost. Whoever works at the same time shares it. */
export class SftpSessions {
	private current: Promise<SftpSession> | undefined;

	private reached = false;

	private closed = false;

	readonly timeout: number;

	private readonly patience: number;

	constructor(private readonly settings: SftpSettings) {
		this.timeout = settings.timeout ?? 60_000;
		this.patience = settings.patience ?? 120_000;
	}

	/** Milliseconds for which an outage is bridged now. */
	get patienceNow(): number {
		return this.reached ? this.patience : Math.min(this.patience, firstPatience);
	}

	/**
	 * Does something that may be done again when the connection was lost over it.
	 *
	 * @param patience milliseconds for which that is tried; as the settings say unless given.
	 */
	async run<Result>(
		signal: AbortSignal | undefined,
		job: (session: SftpSession) => Promise<Result>,
		patience?: number,
	): Promise<Result> {
		return await persist(
			{ patience: patience ?? this.patienceNow, signal, mayPass: isConnectionError },
			async () => {
				signal?.throwIfAborted();
				return await raced(
					this.get().then((session) => job(session)),
					signal,
				);
			},
		);
	}

	/** The connection, which is opened if there is none. @throws LifeboatError, or the network's error. */
	async get(): Promise<SftpSession> {
		if (this.closed) {
			throw new LifeboatError('STORAGE_FAILED', 'The connection to the SFTP server was closed', {
				hint: 'Run the node again',
			});
		}
		const before = this.current;
		const session = await before?.catch(() => undefined);
		if (session?.alive) return session;
		// Another may have opened it meanwhile.
		if (this.current === before) this.current = this.open();
		return await this.current!;
	}

	async close(): Promise<void> {
		this.closed = true;
		const session = await this.current?.catch(() => undefined);
		session?.end();
	}

	private async open(): Promise<SftpSession> {
		const connection = await connect(this.settings, this.timeout);
		this.reached = true;
		return new SftpSession(connection, this.timeout);
	}
}

/** Ends the waiting for something as soon as the signal aborts. */
export async function raced<Result>(
	promise: Promise<Result>,
	signal: AbortSignal | undefined,
): Promise<Result> {
	if (!signal) return await promise;
	let stop = () => {};
	const aborted = new Promise<never>((_resolve, reject) => {
		stop = () => reject(signal.reason as Error);
		signal.addEventListener('abort', stop, { once: true });
	});
	try {
		return await Promise.race([promise, aborted]);
	} finally {
		signal.removeEventListener('abort', stop);
	}
}
