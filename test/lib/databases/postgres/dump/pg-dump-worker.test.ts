import assert from 'node:assert/strict';
import { on } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, Worker } from 'node:worker_threads';

import type {
	PgDumpMessage,
	PgDumpWorkerData,
} from '../../../../../lib/databases/postgres/dump/pg-dump.worker';
import { commandComplete, nullRows, queryText } from '../../../../../lib/databases/postgres/dump/protocol';

const file = path.join(__dirname, '../../../../../lib/databases/postgres/dump/pg-dump.worker.ts');

test('pg_dump sleeps until the answer is there, whatever wakes it before', async () => {
	const { port1, port2 } = new MessageChannel();
	const answered = new Int32Array(new SharedArrayBuffer(4));
	const parameters: PgDumpWorkerData['parameters'] = [['server_version', '17.0']];
	const workerData: PgDumpWorkerData = { args: [], parameters, answers: port2, answered };
	const worker = new Worker(file, { workerData, transferList: [port2] });
	try {
		let requests = 0;
		for await (const [message] of on(worker, 'message', { close: ['exit'] }) as AsyncIterable<
			[PgDumpMessage]
		>) {
			assert.equal(message.type, 'request');
			if (++requests === 4) break;
			// What is left of the answer before, where the thread that gave it was slow.
			for (let i = 0; i < 10; i++, await sleep(5)) Atomics.notify(answered, 0);
			const isQuestion = queryText(Buffer.from(message.bytes))?.startsWith('SELECT') === true;
			port1.postMessage(new Uint8Array(isQuestion ? nullRows(1, 1) : commandComplete('SET')));
			Atomics.store(answered, 0, 1);
			Atomics.notify(answered, 0);
		}
		assert.equal(requests, 4);
	} finally {
		port1.close();
		await worker.terminate();
	}
});
