import type { Logger } from 'n8n-workflow';

import type { Progress } from '../../lib/databases/engine';

const everyMs = 30_000;

/** Tells n8n's log every 30 s how far a restore is. */
export function progressLog(
	logger: Pick<Logger, 'info'>,
	database: string,
	clock: () => number = Date.now,
): (progress: Progress) => void {
	let next = clock() + everyMs;
	return ({ step, tablesDone = 0, tablesTotal, bytes = 0 }) => {
		const now = clock();
		if (now < next) return;
		next = now + everyMs;
		const tables =
			tablesTotal === undefined ? `${tablesDone} tables` : `${tablesDone} of ${tablesTotal} tables`;
		logger.info(
			`Lifeboat restores database ${database}: ${step}, ${tables} loaded, ${Math.round(bytes / 1024 / 1024)} MiB read`,
		);
	};
}
