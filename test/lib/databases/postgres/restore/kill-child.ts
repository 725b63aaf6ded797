// Restores as told, and kills itself with SIGKILL at the stage that is named: nothing can be tidied up.
import { createReadStream } from 'node:fs';

import type { PostgresConnection } from '../../../../../lib/databases/postgres';
import {
	restorePostgres,
	type PostgresRestoreOptions,
} from '../../../../../lib/databases/postgres/restore/restore';

/** What the child is told as JSON. */
export interface KilledRestore {
	connection: PostgresConnection;
	file: string;
	options: PostgresRestoreOptions;
	/** `open`, or the start of a step that progress reports. */
	stage: string;
}

const { connection, file, options, stage } = JSON.parse(process.argv[2]!) as KilledRestore;
const die = () => process.kill(process.pid, 'SIGKILL');

void restorePostgres(
	connection,
	async () => {
		if (stage === 'open') die();
		return createReadStream(file);
	},
	options,
	{
		onProgress: ({ step }) => {
			if (step.startsWith(stage)) die();
		},
	},
);
