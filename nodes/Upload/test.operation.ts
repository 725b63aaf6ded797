import type { IDataObject, IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { probeStorage, probeSteps, type ProbeStep } from '../../lib/storage/probe';
import { presentable } from '../shared/errors';
import { cancelSignal } from '../shared/run';
import { prefixOf, storageFor } from '../shared/storage';

/** What each step says of the destination. */
const abilities: Record<ProbeStep, string> = {
	write: 'canWrite',
	readBack: 'canReadBack',
	readPart: 'canReadParts',
	list: 'canList',
	refuseOverwrite: 'refusesToOverwrite',
	replace: 'canReplace',
	listUnfinished: 'canListUnfinished',
	delete: 'canDelete',
};

/** One item that tells what works; nothing is left at the destination. Fails only where the fields or the credential can't be used at all. */
export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const storage = await storageFor(context, itemIndex);
	try {
		const result = await probeStorage(storage, prefixOf(context, itemIndex), cancelSignal(context));
		const json: IDataObject = { storage: result.storage, ok: result.ok };
		const problems: string[] = [];
		for (const step of probeSteps) {
			const outcome = result.steps[step];
			json[abilities[step]] = outcome ? outcome.ok : null;
			if (outcome?.problem === undefined) continue;
			const hint = outcome.hint === undefined ? '' : `. ${outcome.hint}`;
			problems.push(presentable(`${abilities[step]}: ${outcome.problem}${hint}`));
		}
		const times = Object.entries(result.steps).map(([step, { milliseconds }]) => [step, milliseconds]);
		if (problems.length > 0) {
			context.addExecutionHints({ type: 'warning', location: 'outputPane', message: problems.join('; ') });
		}
		return [
			{
				json: {
					...json,
					...(result.freeBytes !== undefined && { freeBytes: result.freeBytes }),
					milliseconds: Object.fromEntries(times) as IDataObject,
					problems,
				},
				pairedItem: { item: itemIndex },
			},
		];
	} finally {
		await storage.close();
	}
}
