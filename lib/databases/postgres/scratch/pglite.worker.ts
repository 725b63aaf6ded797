/**
 * Runs PGlite, a whole PostgreSQL compiled to WebAssembly, in a worker thread, and lets one client talk to it over the wire
 * protocol, as to any server. A crash or its memory's end is the thread's, not n8n's.
 *
 * The package's own interface hands over one buffer a message and can't wait for more: a COPY would have to lie in memory as a
 * whole. So its reading and writing are replaced: where it wants bytes that are not there yet, this thread sleeps.
 */
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads';

import { PGlite } from '@electric-sql/pglite';

/** What the main thread hands over at the start. */
export interface PgliteWorkerData {
	/** Where its data goes. */
	folder: string;
	/** Of its database. */
	encoding: string;
	/** Extensions to have at hand: names and the files that hold them. */
	extensions: [name: string, file: string][];
	/** Where the client's bytes come in. */
	input: MessagePort;
	/** Holds 1 once there are some. */
	arrived: Int32Array;
}

export type PgliteMessage =
	/** It is up; `greeting` is what it says to a client that comes. */
	| { type: 'ready'; version: string; greeting: Uint8Array }
	/** The bytes sent last have been taken. */
	| { type: 'taken' }
	| { type: 'output'; bytes: Uint8Array };

/** The parts of the compiled server that `PGlite.Module` types leave out or this file needs. */
interface Server {
	HEAPU8: Uint8Array;
	addFunction(run: (pointer: number, length: number) => number, signature: 'iii'): number;
	_pgl_set_rw_cbs(read: number, write: number): void;
	_pgl_setPGliteExitStatus(status: number): number;
	_pgl_pq_flush(): void;
	_pq_buffer_remaining_data(): number;
	_PostgresMainLoopOnce(): void;
	_PostgresMainLongJmp(): void;
	_PostgresSendReadyForQueryIfNecessary(): void;
}

/** What `_pgl_setPGliteExitStatus` tells of after an error of SQL: the server is to go on where it handles those. */
const SQL_ERROR = 100;

const PROTOCOL_3_0 = 196_608;

/** ReadyForQuery: type and length; the state of the transaction follows. */
const READY = Buffer.of(0x5a, 0, 0, 0, 5);
const READY_LENGTH = 6;

const { folder, encoding, extensions, input, arrived } = workerData as PgliteWorkerData;
const main = parentPort!;
const post = (message: PgliteMessage) => main.postMessage(message);

let pending: Buffer = Buffer.alloc(0);

/** Sleeps until the client has sent something. */
function receive(): Buffer {
	for (;;) {
		Atomics.store(arrived, 0, 0);
		const received = receiveMessageOnPort(input);
		if (received) {
			post({ type: 'taken' });
			return Buffer.from(received.message as Uint8Array);
		}
		Atomics.wait(arrived, 0, 0);
	}
}

function read(server: Server, pointer: number, length: number): number {
	if (pending.length === 0) pending = receive();
	const part = pending.subarray(0, length);
	server.HEAPU8.set(part, pointer);
	pending = pending.subarray(part.length);
	return part.length;
}

async function start(): Promise<{ database: PGlite; server: Server; version: string }> {
	const database = await PGlite.create({
		dataDir: folder,
		extensions: Object.fromEntries(extensions.map(([name, file]) => [name, new URL(file)])),
		initDbStartParams: [`--encoding=${encoding}`, `--locale=${encoding === 'UTF8' ? 'C.UTF-8' : 'C'}`],
	});
	const { rows } = await database.query<{ version: string }>(
		`SELECT pg_catalog.current_setting('server_version') AS version`,
	);
	return { database, server: database.Module as unknown as Server, version: rows[0]!.version };
}

/** What the server answers to a client's first message. */
async function greeting(database: PGlite): Promise<Uint8Array> {
	const parameters = Buffer.from('user\0postgres\0database\0postgres\0client_encoding\0UTF8\0\0');
	const packet = Buffer.alloc(8 + parameters.length);
	packet.writeUInt32BE(packet.length, 0);
	packet.writeUInt32BE(PROTOCOL_3_0, 4);
	parameters.copy(packet, 8);
	return Buffer.from(await database.execProtocolRaw(packet, { syncToFs: false }));
}

function serve(server: Server): never {
	const reader = server.addFunction((pointer, length) => read(server, pointer, length), 'iii');
	const hasMore = () => pending.length > 0 || server._pq_buffer_remaining_data() > 0;
	const writer = server.addFunction((pointer, length) => {
		const bytes = Buffer.from(server.HEAPU8.slice(pointer, pointer + length));
		// After an error in a sequence of messages that Sync ends, it calls itself ready at once, and at Sync again.
		const isEarly = bytes.subarray(-READY_LENGTH, -1).equals(READY) && hasMore();
		post({ type: 'output', bytes: isEarly ? bytes.subarray(0, -READY_LENGTH) : bytes });
		return length;
	}, 'iii');
	server._pgl_set_rw_cbs(reader, writer);
	for (;;) {
		try {
			server._PostgresMainLoopOnce();
		} catch (error) {
			if (server._pgl_setPGliteExitStatus(-2) !== SQL_ERROR) throw error;
			server._PostgresMainLongJmp();
		}
		if (hasMore()) continue;
		server._PostgresSendReadyForQueryIfNecessary();
		server._pgl_pq_flush();
	}
}

void (async () => {
	const { database, server, version } = await start();
	post({ type: 'ready', version, greeting: await greeting(database) });
	serve(server);
})();
