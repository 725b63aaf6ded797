import { on } from 'node:events';
import path from 'node:path';
import { MessageChannel, Worker } from 'node:worker_threads';

import type { PgDumpMessage, PgDumpWorkerData } from './pg-dump.worker';

/** The PostgreSQL version of the built-in pg_dump: it reads servers up to this major version. */
export const pgDumpMajor = 18;

/** A pg_dump that runs in a thread of its own. */
export interface PgDumpThread {
	/** What it says, in order; ends when the thread does. */
	readonly messages: AsyncIterable<PgDumpMessage>;
	/** Answers the request that was said last. */
	answer(bytes: Uint8Array): void;
	/** Ends it, wherever it is. */
	end(): Promise<void>;
}

/** Starts pg_dump. @param parameters the ParameterStatus of the connection that its requests will be sent over. */
export function startPgDump(
	args: string[],
	parameters: ReadonlyMap<string, string>,
	signal?: AbortSignal,
): PgDumpThread {
	const { port1, port2 } = new MessageChannel();
	const answered = new Int32Array(new SharedArrayBuffer(4));
	const workerData: PgDumpWorkerData = { args, parameters: [...parameters], answers: port2, answered };
	// The same extension as this file: `.js` when compiled, `.ts` where TypeScript runs as it is.
	const worker = new Worker(path.join(__dirname, `pg-dump.worker${path.extname(__filename)}`), {
		workerData,
		transferList: [port2],
	});
	// A failure reaches whoever iterates; afterwards it must not end the process.
	worker.on('error', () => undefined);
	const events = on(worker, 'message', { signal, close: ['exit'] });
	return {
		messages: {
			async *[Symbol.asyncIterator]() {
				for await (const [message] of events) yield message as PgDumpMessage;
			},
		},
		answer(bytes) {
			// Memory of its own, which needs no further copy: a small Buffer shares its with others.
			const own = new Uint8Array(bytes);
			port1.postMessage(own, [own.buffer]);
			Atomics.store(answered, 0, 1);
			Atomics.notify(answered, 0);
		},
		async end() {
			port1.close();
			await worker.terminate();
		},
	};
}
