import type { IExecuteFunctions } from 'n8n-workflow';

import { LifeboatError } from '../../lib/errors';
import { toRetentionBackup } from '../../lib/retention/backup';
import { listBackups } from '../../lib/storage/backups';
import type { Storage } from '../../lib/storage/storage';
import type { Observation, WatchedBackup } from '../../lib/watch/types';
import { presentable } from '../shared/errors';
import { prefixOf, storageFor } from '../shared/storage';

/** What the operator has to correct in the node's fields: an alarm about the destination would lead them astray. */
const MISTAKES = new Set([
	...['INVALID_OPTION', 'INVALID_PATH', 'INVALID_KEY', 'FILE_ACCESS_DENIED'],
	...['INVALID_DURATION', 'INVALID_SCHEDULE'],
]);

/** What lies at the destination, or why it can't be told. */
export async function observe(
	context: IExecuteFunctions,
	signal: AbortSignal,
): Promise<{ observation: Observation; destination: string }> {
	let storage: Storage | undefined;
	try {
		storage = await storageFor(context, 0);
		const space = await storage.space?.(signal);
		const backups: WatchedBackup[] = [];
		for await (const stored of listBackups(storage, { prefix: prefixOf(context, 0), signal })) {
			const { proof } = stored.marks;
			const tested = proof && { at: proof.testedAt, passed: proof.passed };
			backups.push({ ...toRetentionBackup(stored), ...(tested && { tested }) });
		}
		return {
			observation: { reachable: true, backups, ...(space && { space }) },
			destination: storage.description,
		};
	} catch (error) {
		const failure = signal.aborted && error === signal.reason ? inTime() : error;
		if (!(failure instanceof LifeboatError) || MISTAKES.has(failure.code)) throw failure;
		const { message, hint } = failure;
		return {
			observation: {
				reachable: false,
				message: presentable(message),
				...(hint === undefined ? {} : { hint: presentable(hint) }),
			},
			destination: storage?.description ?? '',
		};
	} finally {
		await storage?.close();
	}
}

const inTime = () =>
	new LifeboatError('CONNECTION_FAILED', 'it did not answer in time', {
		hint: 'Check the network, and how busy the destination is',
	});
