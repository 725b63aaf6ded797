import type { IExecuteFunctions } from 'n8n-workflow';

import { StagingFolder, sweepStaging } from '../../lib/artifact/staging';
import { messageOf } from '../../lib/errors';

import { defaultStagingRoot, resolveAllowed } from './file-access';

/** What a crash left is removed once it is this old. An execution that waits longer loses its staged backups, too. */
const leftoverHours = 24;

const sweepEveryMs = 60 * 60 * 1000;

let lastSweep = 0;

/**
 * The folder where this execution's backups are staged: made now if need be, removed when the execution finishes or is
 * cancelled. An execution that waits keeps it, since n8n calls the handler only at the end.
 */
export async function stagingFor(context: IExecuteFunctions): Promise<StagingFolder> {
	const root = await resolveAllowed(context, defaultStagingRoot());
	const staging = new StagingFolder(root, context.getExecutionId());
	const remove = async () => {
		try {
			await staging.remove();
		} catch (error) {
			context.logger.warn(
				`Lifeboat could not remove the staging folder ${staging.path}: ${messageOf(error)}`,
			);
		}
	};
	context.onExecutionFinish?.(remove);
	await staging.create();
	await sweep(context, root);
	return staging;
}

async function sweep(context: IExecuteFunctions, root: string): Promise<void> {
	const now = Date.now();
	if (now - lastSweep < sweepEveryMs) return;
	lastSweep = now;
	try {
		const removed = await sweepStaging(root, new Date(now - leftoverHours * 60 * 60 * 1000));
		if (removed.length > 0)
			context.logger.info(`Lifeboat removed staging folders of earlier executions: ${removed.join(', ')}`);
	} catch (error) {
		// This run must not fail for the leftovers of another; the next one tries again.
		context.logger.warn(`Lifeboat could not remove old staging folders in ${root}: ${messageOf(error)}`);
	}
}
