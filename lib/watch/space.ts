import { bytesInWords } from '../retention/bytes';
import { CALM } from './sizes';
import type { Finding, Space, WatchedBackup, WatchRules } from './types';

/** What is known of the room that is left: the storage's own word, and the quota that the operator gave. */
export function spacesOf(
	{ quotaBytes }: WatchRules,
	backups: readonly WatchedBackup[],
	space: Space | undefined,
): Space[] {
	const used = backups.reduce((sum, { size }) => sum + size, 0);
	return [
		...(space ? [space] : []),
		...(quotaBytes === undefined
			? []
			: [{ freeBytes: Math.max(0, quotaBytes - used), totalBytes: quotaBytes }]),
	];
}

/** @param isOpen whether there is an alarm of it already: it is over only when clearly more is free than must be. */
export function spaceFinding(
	{ minFreeBytes = 0, minFreePercent = 0 }: WatchRules,
	spaces: readonly Space[],
	isOpen: boolean,
): Finding | undefined {
	const factor = isOpen ? 1 / CALM : 1;
	for (const { freeBytes, totalBytes } of spaces) {
		const percent = totalBytes ? (freeBytes / totalBytes) * 100 : undefined;
		const isLow =
			freeBytes < minFreeBytes * factor || (percent !== undefined && percent < minFreePercent * factor);
		if (!isLow) continue;
		const share = percent === undefined ? '' : ` (${percent.toFixed(1)}% of ${bytesInWords(totalBytes!)})`;
		return {
			problem: 'spaceLow',
			message: `The destination has ${bytesInWords(freeBytes)} left${share}`,
			hint: 'Keep fewer backups (Apply Retention), or make room, before the next backup fails',
			details: { freeBytes, ...(totalBytes === undefined ? {} : { totalBytes }) },
		};
	}
	return undefined;
}
