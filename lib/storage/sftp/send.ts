import { addAbortSignal, type Readable } from 'node:stream';

import { blocks } from './blocks';

/** Bytes under way at once: enough for fast lines, and little enough for a slow one to answer within the time-out. */
const WINDOW = 4 * 1024 * 1024;

/** Hands on all bytes of a source, several blocks at once. A write that fails ends it at once. @returns how many bytes. */
export async function send(
	source: Readable,
	signal: AbortSignal | undefined,
	write: (data: Buffer, position: number) => Promise<void>,
): Promise<number> {
	if (signal) addAbortSignal(signal, source);
	const flights = new Set<Promise<void>>();
	let [sent, waiting] = [0, 0];
	let failed: { error: unknown } | undefined;
	const launch = (data: Buffer) => {
		const flight = write(data, sent)
			.catch((error: unknown) => {
				failed ??= { error };
				source.destroy(error as Error);
			})
			.finally(() => {
				waiting -= data.length;
				flights.delete(flight);
			});
		flights.add(flight);
		sent += data.length;
		waiting += data.length;
	};
	try {
		for await (const data of blocks(source)) {
			launch(data);
			while (waiting >= WINDOW && !failed) await Promise.race(flights);
			if (failed) break;
		}
	} catch (error) {
		// What the server said comes back from the source that it destroyed.
		throw failed ? failed.error : error;
	}
	await Promise.all(flights);
	signal?.throwIfAborted();
	if (failed) throw failed.error;
	return sent;
}
