import { setTimeout as sleep } from 'node:timers/promises';

/** What may be done again after a failure. */
export interface Persistence {
	/** Milliseconds from the first failure on. */
	patience: number;
	signal?: AbortSignal | undefined;
	/** Whether the trouble may go away by itself: a broken connection, or an error of the service's own (5xx). */
	mayPass: (error: unknown) => boolean;
}

/** Repeats a step of a long transfer with backoff and jitter, so that a short outage doesn't spoil hours of work. */
export async function persist<Result>(
	{ patience, signal, mayPass }: Persistence,
	run: () => Promise<Result>,
): Promise<Result> {
	let deadline: number | undefined;
	for (let attempt = 0; ; attempt += 1) {
		try {
			return await run();
		} catch (error) {
			if (signal?.aborted || !mayPass(error)) throw error;
			deadline ??= performance.now() + patience;
			const delay = (0.5 + Math.random() / 2) * Math.min(10_000, 500 * 2 ** attempt);
			if (performance.now() + delay > deadline) throw error;
			await sleep(delay, undefined, signal && { signal });
		}
	}
}
