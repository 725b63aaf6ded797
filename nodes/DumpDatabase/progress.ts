import type { Logger } from 'n8n-workflow';

import type { Progress } from '../../lib/databases/engine';

const everyMs = 30_000;

const mebibytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(bytes < 10_485_760 ? 1 : 0)} MiB`;

/** Tells n8n's log what is coming, and every 30 s how far it is. */
export function progressLog(
	logger: Pick<Logger, 'info'>,
	database: string,
	clock: () => number = Date.now,
): (progress: Progress) => void {
	let next: number | undefined;
	return ({ step, tablesDone = 0, tablesTotal = 0, bytes = 0, estimatedRows = 0, estimatedBytes = 0 }) => {
		const now = clock();
		if (next === undefined) {
			logger.info(
				`Lifeboat dumps database ${database}: ${tablesTotal} tables, about ${estimatedRows} rows, ${mebibytes(estimatedBytes)}`,
			);
			next = now + everyMs;
		} else if (now >= next) {
			logger.info(
				`Lifeboat dumps database ${database}: ${step}, ${tablesDone} of ${tablesTotal} tables done, ${mebibytes(bytes)} read`,
			);
			next = now + everyMs;
		}
	};
}
