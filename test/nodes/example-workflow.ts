import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { IConnections, IDataObject, INode, INodeExecutionData } from 'n8n-workflow';

import { readWorkflow, type WorkflowName } from '../../demo/workflow-files';

import { sql } from './fixtures';
import type { RunResult } from './run-result';
import type { Shop } from './shop';
import type { InlineStep } from './step-types';

const own = 'n8n-nodes-lifeboat.';

export interface ExampleRun {
	/** More parameters, by node name. */
	parameters?: Record<string, IDataObject>;
	/** Nodes that are published switched off, and on in this run. */
	switchedOn?: string[];
	/** The database of nodes that run SQL, by node name; `shop` unless given. */
	databases?: Record<string, string>;
}

/**
 * Runs an example workflow as it is published, with folders below the shop's in place of its storages. Of n8n's own nodes those that
 * run SQL, set fields or answer a webhook do so as their parameters say; the others pass on what they get.
 */
export async function runExample(shop: Shop, name: WorkflowName, run: ExampleRun = {}): Promise<RunResult> {
	const published = await readWorkflow(name);
	const isTrigger = ({ type }: INode) => /Trigger$|\.webhook$/.test(type);
	const nodes = published.nodes.filter(
		(node) =>
			!isTrigger(node) &&
			!node.type.endsWith('.stickyNote') &&
			(!node.disabled || run.switchedOn?.includes(node.name)),
	);
	const trigger = published.nodes.find(isTrigger)!;
	const { [trigger.name]: start = {}, ...rest } = published.connections;
	const steps = await Promise.all(
		nodes.map(async (node) => {
			if (!node.type.startsWith(own)) {
				const inputs = node.type.endsWith('.merge') ? 2 : 1;
				return { name: node.name, run: standIn(shop, node, run), inputs };
			}
			const parameters = { ...(await inFolders(shop, node.parameters)), ...run.parameters?.[node.name] };
			return { name: node.name, type: node.type.slice(own.length), parameters, onError: node.onError };
		}),
	);
	return await shop.run(steps, {
		connections: without(
			{ ...rest, Start: start },
			nodes.map((node) => node.name),
		),
		settings: { timezone: 'UTC' },
	});
}

/** The folder that stands for a kind of storage. */
export const folderFor = (shop: Shop, storage: string) => join(shop.destination, storage);

async function inFolders(shop: Shop, parameters: INode['parameters']): Promise<Record<string, unknown>> {
	const changed: Record<string, unknown> = { ...parameters };
	if (Array.isArray(changed.paths) && changed.paths.length > 0) changed.paths = [`${shop.uploads}/**`];
	if (changed.targetFolder !== undefined && changed.operation === 'files') {
		changed.targetFolder = join(shop.folder, 'restored');
	}
	for (const [storage, folder, bucket] of [
		['storage', 'folder', 'bucket'],
		['targetStorage', 'targetFolder', 'targetBucket'],
	] as const) {
		if (changed[folder] === undefined && changed[bucket] === undefined) continue;
		if (changed.operation === 'files') continue;
		const kind = (changed[storage] as string | undefined) ?? 'local';
		delete changed[bucket];
		changed[storage] = 'local';
		changed[folder] = folderFor(shop, kind);
		await mkdir(folderFor(shop, kind), { recursive: true });
	}
	return changed;
}

function standIn(shop: Shop, { name, type, parameters }: INode, run: ExampleRun): InlineStep {
	switch (type) {
		case 'n8n-nodes-base.postgres':
			return async () => {
				const rows = await sql(
					shop.server,
					run.databases?.[name] ?? 'shop',
					...(parameters.query as string).split(';\n'),
				);
				return rows.length > 0 ? rows.map((row) => ({ json: { row } })) : [{ json: { success: true } }];
			};
		case 'n8n-nodes-base.set': {
			const { assignments } = (parameters.assignments ?? {}) as {
				assignments: { name: string; value: string }[];
			};
			return (items, context) =>
				items.map((_, index) => ({
					json: Object.fromEntries(
						assignments.map((each) => [
							each.name,
							context.evaluateExpression(each.value.slice(1), index) as string,
						]),
					),
					pairedItem: { item: index },
				}));
		}
		case 'n8n-nodes-base.respondToWebhook': {
			const body = (parameters.responseBody as string).slice(1);
			return (items, context) =>
				items.map((_, index) => ({
					json: JSON.parse(context.evaluateExpression(body, index) as string) as IDataObject,
				}));
		}
		default:
			return (items: INodeExecutionData[]) => items;
	}
}

/** The connections between nodes that are there. */
function without(connections: IConnections, names: string[]): IConnections {
	const known = new Set(names);
	return Object.fromEntries(
		Object.entries(connections)
			.filter(([name]) => name === 'Start' || known.has(name))
			.map(([name, { main = [] }]) => [
				name,
				{ main: main.map((output) => output?.filter(({ node }) => known.has(node)) ?? []) },
			]),
	);
}
