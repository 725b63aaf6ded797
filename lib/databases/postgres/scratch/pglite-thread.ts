import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { MessageChannel, Worker } from 'node:worker_threads';

import { LifeboatError, messageOf } from '../../../errors';
import type { PostgresConnection } from '../connection';
import { withoutSystemCodes } from '../errors';

import { PgliteSocket } from './pglite-socket';
import type { PgliteMessage, PgliteWorkerData } from './pglite.worker';

/** A PostgreSQL in a thread of this process. */
export interface PgliteThread {
	/** Such as `18.3`. */
	readonly version: string;
	/** Leads to its one database, as its superuser. One client at a time; settings of a session outlive its client. */
	readonly connection: PostgresConnection;
	/** Why it ended, if it did so by itself. */
	readonly failure: LifeboatError | undefined;
	/** Ends it, wherever it is. Its folder stays. */
	end(): Promise<void>;
	/** Ends it as a crash would. */
	kill(): void;
}

type ReadyMessage = Extract<PgliteMessage, { type: 'ready' }>;

/** Where the file of an extension lies, if it is among those that come with PGlite. */
export function pgliteExtension(name: string): string | undefined {
	if (!/^[\w-]+$/.test(name)) return undefined;
	const file = path.join(path.dirname(require.resolve('@electric-sql/pglite')), `${name}.tar.gz`);
	return existsSync(file) ? pathToFileURL(file).href : undefined;
}

/**
 * Starts a PostgreSQL with an empty database in a thread. It takes seconds, and some 500 MB of memory until it is ended.
 *
 * @param folder an empty one for its data, which the caller removes.
 * @param options `extensions`: names for which `pgliteExtension` finds a file; `encoding` of the database, as PostgreSQL calls it.
 * @throws LifeboatError `SCRATCH_LOST` if it doesn't start; the reason of the signal when that aborts.
 */
export async function startPglite(
	folder: string,
	{ extensions = [], encoding = 'UTF8' }: { extensions?: readonly string[]; encoding?: string } = {},
	signal?: AbortSignal,
): Promise<PgliteThread> {
	signal?.throwIfAborted();
	const { port1, port2 } = new MessageChannel();
	const arrived = new Int32Array(new SharedArrayBuffer(4));
	const workerData: PgliteWorkerData = {
		...{ folder, encoding },
		extensions: extensions.map((name) => [name, pgliteExtension(name)!]),
		input: port2,
		arrived,
	};
	// The same extension as this file: `.js` when compiled, `.ts` where TypeScript runs as it is.
	const file = path.join(__dirname, `pglite.worker${path.extname(__filename)}`);
	// What it prints is of no use to anybody: errors come over the wire.
	const worker = new Worker(file, { workerData, transferList: [port2], stdout: true, stderr: true });
	worker.stdout.resume();
	worker.stderr.resume();
	let socket: PgliteSocket | undefined;
	let taken: ((error?: Error | null) => void) | undefined;
	let failure: LifeboatError | undefined;
	let isEnding = false;
	let reason: unknown;
	let isReady!: (message: ReadyMessage) => void;
	let isNotReady!: (reason: unknown) => void;
	const ready = new Promise<ReadyMessage>((resolve, reject) => {
		isReady = resolve;
		isNotReady = reject;
	});
	worker.on('error', (error: unknown) => {
		reason = error;
	});
	worker.on('exit', () => {
		port1.close();
		if (isEnding) return;
		failure = lost(reason);
		isNotReady(failure);
		socket?.destroy(failure);
		taken?.(failure);
	});
	worker.on('message', (message: PgliteMessage) => {
		switch (message.type) {
			case 'ready':
				isReady(message);
				break;
			case 'taken': {
				const done = taken;
				taken = undefined;
				done?.();
				break;
			}
			case 'output':
				if (socket && !socket.destroyed && !socket.readableEnded) socket.push(message.bytes);
		}
	});
	const send = (bytes: Buffer, done: (error?: Error | null) => void) => {
		if (failure || isEnding) {
			done(failure ?? lost(undefined));
			return;
		}
		taken = done;
		port1.postMessage(bytes);
		Atomics.store(arrived, 0, 1);
		Atomics.notify(arrived, 0);
	};
	const end = async () => {
		isEnding = true;
		socket?.destroy();
		port1.close();
		await worker.terminate();
	};
	const abort = () => isNotReady(signal?.reason);
	signal?.addEventListener('abort', abort, { once: true });
	try {
		const { version, greeting } = await ready;
		return {
			version,
			connection: {
				...{ host: 'in process', port: 0, user: 'postgres', password: '', database: 'postgres' },
				stream: () => (socket = new PgliteSocket({ greeting, send })),
			},
			get failure() {
				return failure;
			},
			end,
			kill: () => void worker.terminate(),
		};
	} catch (error) {
		await end();
		throw error;
	} finally {
		signal?.removeEventListener('abort', abort);
	}
}

function lost(reason: unknown): LifeboatError {
	const why = reason === undefined ? 'it ended by itself' : withoutSystemCodes(messageOf(reason));
	return new LifeboatError(
		'SCRATCH_LOST',
		`The PostgreSQL that runs inside n8n for the restore test broke down: ${why}`,
		{
			hint: 'The backup may be too large for it, or n8n short of memory. Test the restore on a server instead (Restore Into: Scratch Database on a Server)',
			cause: reason,
		},
	);
}
