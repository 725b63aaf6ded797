import type { ExtractReport } from './extract';

/** The report names no more of what was left out; it counts them all. */
const MAX_NAMED = 1000;

/** Collects what is reported of an extraction. */
export class ExtractLog {
	readonly result: ExtractReport = { files: 0, folders: 0, links: 0, bytes: 0, skipped: [], skippedCount: 0 };

	skip(path: string, reason: string): void {
		this.result.skippedCount += 1;
		if (this.result.skipped.length < MAX_NAMED) this.result.skipped.push({ path, reason });
	}
}
