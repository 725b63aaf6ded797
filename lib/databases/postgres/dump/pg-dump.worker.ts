/**
 * Runs pg_dump, compiled to WebAssembly, in a worker thread. pg_dump is synchronous: each of its requests to the server
 * is handed to the main thread, and this thread sleeps until the answer is there.
 */
import { receiveMessageOnPort, parentPort, workerData, type MessagePort } from 'node:worker_threads';

import { compileBaseline } from './baseline-module';
import { message, MessageScanner } from './protocol';

/** What the main thread hands over at the start. */
export interface PgDumpWorkerData {
	args: string[];
	/** The server's ParameterStatus, as it told them when the connection was made. */
	parameters: [name: string, value: string][];
	/** Where answers come in. */
	answers: MessagePort;
	/** Holds 1 once an answer is there. */
	answered: Int32Array;
}

/** What the worker says. Output comes before the request that pg_dump sends after having written it. */
export type PgDumpMessage =
	| { type: 'output'; bytes: Uint8Array }
	| { type: 'request'; bytes: Uint8Array }
	| { type: 'exit'; succeeded: boolean; log: string };

const sslRequest = 80877103;
const gssRequest = 80877104;
const outputSize = 64 * 1024;
/** ioctl "what is the size of this terminal?": how the C library learns that a file is one. */
const TIOCGWINSZ = 0x5413;
const ESPIPE = 70;

const { args, parameters, answers, answered } = workerData as PgDumpWorkerData;
const main = parentPort!;

let output: Buffer[] = [];
let outputLength = 0;
const log: Buffer[] = [];

/** Hands bytes over in memory of their own: a small Buffer shares its with others, and all of it would be copied, and kept, with it. */
function post(type: 'output' | 'request', pieces: Buffer[], length: number): void {
	const bytes = new Uint8Array(length);
	let at = 0;
	for (const piece of pieces) {
		bytes.set(piece, at);
		at += piece.length;
	}
	main.postMessage({ type, bytes } satisfies PgDumpMessage, [bytes.buffer]);
}

function flush(): void {
	if (outputLength > 0) post('output', output, outputLength);
	output = [];
	outputLength = 0;
}

function write(descriptor: number, bytes: Buffer): void {
	if (descriptor <= 2) {
		log.push(bytes);
		return;
	}
	output.push(bytes);
	outputLength += bytes.length;
	if (outputLength >= outputSize) flush();
}

type Imports = Record<string, Record<string, unknown>>;
type Instantiate = (source: object, imports: Imports) => Promise<unknown>;
type SystemCall = (...values: number[]) => number;

/**
 * Takes what pg_dump writes to its file as it writes it, byte for byte. The package's own interface would collect the whole
 * in memory, decode it as UTF-8 and drop lines that look like psql's `\restrict`, be they part of a function.
 */
function divertOutput(): void {
	// Its types are the browser's, which this project doesn't load.
	const { WebAssembly } = globalThis as unknown as { WebAssembly: { instantiate: Instantiate } };
	const { instantiate } = WebAssembly;
	WebAssembly.instantiate = async (source, imports) => {
		const memory = imports.env!.memory as { buffer: ArrayBuffer };
		const ioctl = imports.env!.__syscall_ioctl as SystemCall;
		const seek = imports.wasi_snapshot_preview1!.fd_seek as SystemCall;
		const module = compileBaseline(source as Uint8Array);
		const instance = await instantiate(module, {
			...imports,
			env: {
				...imports.env,
				// As a terminal, the file is flushed at each end of line: what was written is known before each request.
				__syscall_ioctl: (descriptor: number, operation: number, ...rest: number[]) =>
					descriptor > 2 && operation === TIOCGWINSZ ? 0 : ioctl(descriptor, operation, ...rest),
			},
			wasi_snapshot_preview1: {
				...imports.wasi_snapshot_preview1,
				fd_seek: (descriptor: number, ...rest: number[]) =>
					descriptor > 2 ? ESPIPE : seek(descriptor, ...rest),
				fd_write(descriptor: number, vectors: number, count: number, written: number) {
					const view = new DataView(memory.buffer);
					let total = 0;
					for (let i = 0; i < count; i++) {
						const pointer = view.getUint32(vectors + 8 * i, true);
						const length = view.getUint32(vectors + 8 * i + 4, true);
						if (length > 0) {
							write(descriptor, Buffer.from(memory.buffer.slice(pointer, pointer + length)));
						}
						total += length;
					}
					view.setUint32(written, total, true);
					return 0;
				},
			},
		});
		return { module, instance };
	};
}

/** The answer to the startup packet: the main thread has logged in already. */
function handshake(): Buffer {
	return Buffer.concat([
		message('R', Buffer.alloc(4)),
		...parameters.map(([name, value]) => message('S', Buffer.from(`${name}\0${value}\0`))),
		message('K', Buffer.alloc(8)),
		message('Z', Buffer.from('I')),
	]);
}

let request: Buffer[] = [];
let requestLength = 0;
let scanner = new MessageScanner();
const answeredByReady = new Set('QSF'.split('').map((type) => type.charCodeAt(0)));

/** Takes a piece of what libpq sends, and gives the server's answer if that piece ends a request. */
function exchange(piece: Buffer): Uint8Array | undefined {
	if (request.length === 0 && piece[0] === 0) {
		const code = piece.readInt32BE(4);
		return code === sslRequest || code === gssRequest ? Buffer.from('N') : handshake();
	}
	scanner.push(piece);
	request.push(piece);
	requestLength += piece.length;
	if (!scanner.isBetweenMessages || !answeredByReady.has(scanner.lastType)) return undefined;
	flush();
	Atomics.store(answered, 0, 0);
	post('request', request, requestLength);
	request = [];
	requestLength = 0;
	scanner = new MessageScanner();
	// It may wake up too early: the thread that gave the answer before sets the value first and wakes whoever waits then.
	while (Atomics.load(answered, 0) === 0) Atomics.wait(answered, 0, 0);
	return receiveMessageOnPort(answers)?.message as Uint8Array;
}

async function run(): Promise<void> {
	divertOutput();
	const { pgDump } = await import('@electric-sql/pglite-tools/pg_dump');
	const connection = {
		// pgDump() saves and restores the search path around its run.
		query: async () => ({ rows: [{ search_path: '' }] }),
		exec: async () => [],
		execProtocolRawStream(bytes: Uint8Array, { onRawData }: { onRawData: (bytes: Uint8Array) => void }) {
			const answer = exchange(Buffer.from(bytes));
			if (answer) onRawData(answer);
		},
	};
	let succeeded = false;
	try {
		await pgDump({ pg: connection as unknown as Parameters<typeof pgDump>[0]['pg'], args });
		succeeded = true;
	} catch (error) {
		log.push(Buffer.from(`\n${error instanceof Error ? error.message : String(error)}`));
	}
	flush();
	const exit: PgDumpMessage = { type: 'exit', succeeded, log: Buffer.concat(log).toString() };
	main.postMessage(exit);
	answers.close();
}

void run();
