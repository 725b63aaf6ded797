import { setTimeout as sleep } from 'node:timers/promises';

import { hasStatus, isConnectionError } from './errors';

/**
 * Repeats a part of a long transfer beyond the few attempts of the SDK, so that a short outage doesn't spoil hours of work.
 * Only what may go away by itself is repeated: a broken connection, or an error of the service's own (5xx).
 *
 * @param patience milliseconds from the first failure on.
 */
export async function persist<Result>(
	patience: number,
	signal: AbortSignal,
	run: () => Promise<Result>,
): Promise<Result> {
	let deadline: number | undefined;
	for (let attempt = 0; ; attempt += 1) {
		try {
			return await run();
		} catch (error) {
			if (signal.aborted || !mayPass(error)) throw error;
			deadline ??= performance.now() + patience;
			const delay = (0.5 + Math.random() / 2) * Math.min(10_000, 500 * 2 ** attempt);
			if (performance.now() + delay > deadline) throw error;
			await sleep(delay, undefined, { signal });
		}
	}
}

/** Whether a later try may succeed. */
export function mayPass(error: unknown): boolean {
	return isConnectionError(error) || [429, 500, 502, 503, 504].some((status) => hasStatus(error, status));
}
