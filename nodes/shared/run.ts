import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { refuseEmptyExpressions } from './expressions';
import { presentable, toNodeError } from './errors';

/** The signal that Stop and time-outs trigger. A node that ignores it runs on. */
export function cancelSignal(context: IExecuteFunctions): AbortSignal {
	return context.getExecutionCancelSignal() ?? new AbortController().signal;
}

/**
 * Runs a job once for each of `indexes` (every input item unless given), one after the other: backups of the same server
 * side by side would only slow each other down. Errors become n8n's, or items where the node continues on fail.
 */
export async function runPerItem(
	context: IExecuteFunctions,
	job: (itemIndex: number) => Promise<INodeExecutionData[]>,
	indexes: Iterable<number> = context.getInputData().keys(),
): Promise<INodeExecutionData[][]> {
	return await runToOutputs(context, { outputs: 1, errors: 0 }, async (index) => [await job(index)], indexes);
}

/**
 * As `runPerItem`, for a node with several outputs: the job gives the items of each.
 *
 * @param to how many outputs there are, and which of them takes the items of what failed where the node continues on fail.
 */
export async function runToOutputs(
	context: IExecuteFunctions,
	to: { outputs: number; errors: number },
	job: (itemIndex: number) => Promise<INodeExecutionData[][]>,
	indexes: Iterable<number> = context.getInputData().keys(),
): Promise<INodeExecutionData[][]> {
	const signal = cancelSignal(context);
	const empty = () => Array.from({ length: to.outputs }, (): INodeExecutionData[] => []);
	const results = empty();
	for (const itemIndex of indexes) {
		try {
			signal.throwIfAborted();
			refuseEmptyExpressions(context, itemIndex);
			for (const [output, items] of (await job(itemIndex)).entries()) {
				const paired = items.map((item) => ({ ...item, pairedItem: item.pairedItem ?? { item: itemIndex } }));
				results[output]!.push(...paired);
			}
		} catch (error) {
			if (signal.aborted) return empty();
			const nodeError = toNodeError(context.getNode(), error, itemIndex);
			if (!context.continueOnFail()) throw nodeError;
			// n8n takes an item of just these two fields for a failed one. Were `error` set on the item itself, it would drop the details.
			results[to.errors]!.push({
				json: {
					error: nodeError.message,
					...(nodeError.description ? { details: presentable(nodeError.description) } : {}),
				},
				pairedItem: { item: itemIndex },
			});
		}
	}
	return results;
}
