import type { IExecuteFunctions } from 'n8n-workflow';

import { toRetentionBackup, type RetentionBackup } from '../../lib/retention/backup';
import { listBackups, type Marks } from '../../lib/storage/backups';
import type { Storage } from '../../lib/storage/storage';
import { cancelSignal } from '../shared/run';
import { prefixOf } from '../shared/storage';

/** All backups under the prefix, as retention sees them, with what lies beside each. */
export async function readBackups(
	context: IExecuteFunctions,
	itemIndex: number,
	storage: Storage,
): Promise<{ backups: RetentionBackup[]; marks: Map<RetentionBackup, Marks> }> {
	const backups: RetentionBackup[] = [];
	const marks = new Map<RetentionBackup, Marks>();
	const prefix = prefixOf(context, itemIndex);
	for await (const stored of listBackups(storage, { prefix, signal: cancelSignal(context) })) {
		const backup = toRetentionBackup(stored);
		backups.push(backup);
		if (stored.marks.pin || stored.marks.proof) marks.set(backup, stored.marks);
	}
	return { backups, marks };
}

/** Where days begin: as the option says, else as the workflow does. */
export function zoneOf(context: IExecuteFunctions, itemIndex: number): string {
	const { zone } = context.getNodeParameter('options', itemIndex, {}) as { zone?: string };
	return zone?.trim() || context.getTimezone();
}

/** Shows a message above the node's output. */
export function hint(
	context: IExecuteFunctions,
	message: string,
	type: 'info' | 'warning' = 'warning',
): void {
	context.addExecutionHints({ type, location: 'outputPane', message });
}

/** Milliseconds as hours with one decimal. */
export const inHours = (milliseconds: number): number => Math.round(milliseconds / 360_000) / 10;
