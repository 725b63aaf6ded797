import {
	NodeConnectionTypes,
	type IConnections,
	type IDataObject,
	type IExecuteFunctions,
	type INodeExecutionData,
} from 'n8n-workflow';

import type { Manifest } from '../../lib/artifact/manifest';
import type { LifeboatError } from '../../lib/errors';
import { presentable } from '../shared/errors';

/** The node's outputs, by their place. */
export const PASSED = 0;
export const FAILED = 1;

/**
 * Where n8n looks for items of errors: it takes them from any output to the one for errors, if that is wanted, and only in the
 * first one it sees that a run is to be repeated. Otherwise nothing that failed may come out where backups pass.
 */
export function errorOutput(context: IExecuteFunctions): number {
	return context.getNode().onError === 'continueErrorOutput' ? PASSED : FAILED;
}

/** Whether anything would take what comes out of Failed. */
export function isFailedConnected(context: IExecuteFunctions): boolean {
	// Every context of n8n's has it, though the interface doesn't say so. Without it the safe answer is no: the workflow then stops.
	const { workflow } = context as { workflow?: { connectionsBySourceNode?: IConnections } };
	const outputs = workflow?.connectionsBySourceNode?.[context.getNode().name]?.[NodeConnectionTypes.Main];
	return (outputs?.[FAILED]?.length ?? 0) > 0;
}

/** What one item comes to. */
export function passed(item: INodeExecutionData): INodeExecutionData[][] {
	return [[item], []];
}

/**
 * A backup that does not hold, for the branch that sounds the alarm. The backup itself does not pass on, so that no Upload or
 * Restore behind can take it.
 *
 * @throws the error, where nothing is connected to Failed: a workflow must not end as if all were well.
 */
export function failed(
	context: IExecuteFunctions,
	itemIndex: number,
	error: LifeboatError,
	{ manifest, ...more }: IDataObject & { manifest: Manifest },
): INodeExecutionData[][] {
	if (!isFailedConnected(context)) throw error;
	const { json } = context.getInputData()[itemIndex]!;
	const item: INodeExecutionData = {
		json: {
			error: presentable(error.message),
			...(error.hint === undefined ? {} : { details: presentable(error.hint) }),
			code: error.code,
			...more,
			backup: describeBackup(manifest, json),
		},
		pairedItem: { item: itemIndex },
	};
	return [[], [item]];
}

function describeBackup(manifest: Manifest, { stored, from }: IDataObject): IDataObject {
	const { name, id, fileName, createdAt } = manifest;
	const where = (stored ?? from) as IDataObject | undefined;
	return {
		...{ name, id, fileName, createdAt, size: manifest.stored.size },
		...(where ? { storage: where.storage, key: where.key } : {}),
	};
}
