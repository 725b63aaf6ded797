import type { PGlite } from '@electric-sql/pglite';
import { pgDump } from '@electric-sql/pglite-tools/pg_dump';

/** What is used of WebAssembly, whose types come only with those of browsers. */
interface Memory {
	buffer: ArrayBuffer;
}
type Imports = Record<string, Record<string, unknown>>;
type Instantiate = (
	source: unknown,
	imports: Imports,
) => Promise<{ instance: { exports: Record<string, unknown> } }>;
const { WebAssembly: wasm } = globalThis as unknown as { WebAssembly: { instantiate: Instantiate } };

type FdWrite = (descriptor: number, vectors: number, count: number, written: number) => number;

/** No seeking in a pipe, as WASI numbers it. */
const ESPIPE = 70;

/**
 * The archive that the WebAssembly build of PostgreSQL's own pg_dump 18 writes of a database in process: format 1.16, as no
 * package here brings it. The public function returns text only: what it writes to files is collected on its way out.
 */
export async function wasmArchive(database: PGlite): Promise<Buffer> {
	const chunks: Buffer[] = [];
	const original = wasm.instantiate;
	const instantiate: Instantiate = async (source, imports) => {
		const system = imports.wasi_snapshot_preview1!;
		let memory = imports.env?.memory as Memory | undefined;
		const write: FdWrite = (descriptor, vectors, count, written) => {
			if (descriptor <= 2) return (system.fd_write as FdWrite)(descriptor, vectors, count, written);
			const view = new DataView(memory!.buffer);
			let total = 0;
			for (let i = 0; i < count; i++) {
				const start = view.getUint32(vectors + 8 * i, true);
				const length = view.getUint32(vectors + 8 * i + 4, true);
				chunks.push(Buffer.from(memory!.buffer.slice(start, start + length)));
				total += length;
			}
			view.setUint32(written, total, true);
			return 0;
		};
		const seek = (descriptor: number, ...rest: unknown[]) =>
			descriptor > 2 ? ESPIPE : (system.fd_seek as (...args: unknown[]) => number)(descriptor, ...rest);
		const result = await original(source, {
			...imports,
			wasi_snapshot_preview1: { ...system, fd_write: write, fd_seek: seek },
		});
		memory ??= result.instance.exports.memory as Memory;
		return result;
	};
	wasm.instantiate = instantiate;
	try {
		await pgDump({ pg: database, args: ['-Fc', '-Z0'] });
	} finally {
		wasm.instantiate = original;
	}
	return Buffer.concat(chunks);
}
