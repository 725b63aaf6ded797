import { join } from 'node:path';

import { Cleanup } from '../../demo/cleanup';
import {
	createCredentials,
	makeFolders,
	openN8n,
	openShop,
	type Folders,
	type Keys,
	type Shop,
} from '../../demo/stage';
import { adjust, readWorkflow, type WorkflowName } from '../../demo/workflow-files';
import type { INodeParameters } from 'n8n-workflow';
import type { N8nServer } from '../servers/n8n';
import type { Execution, N8nClient, StoredWorkflow } from '../servers/n8n-client';

/** A shop, its uploads, and an n8n that may back them up. */
export interface Stage {
	shop: Shop;
	folders: Folders;
	n8n: N8nServer;
	client: N8nClient;
	keys: Keys;
	/** Where the nightly backups lie. */
	backups: string;
	/** Imports an example workflow and fills in what an operator would. */
	load: (name: WorkflowName, parameters?: Record<string, INodeParameters>) => Promise<StoredWorkflow>;
	close(): Promise<void>;
}

export async function startStage(): Promise<Stage> {
	const cleanup = new Cleanup();
	try {
		const shop = await openShop(cleanup);
		const folders = await makeFolders(cleanup);
		const n8n = await openN8n(cleanup, shop, folders, {});
		const client = await n8n.login();
		const keys = await createCredentials(client, shop);
		return {
			...{ shop, folders, n8n, client, keys, backups: join(folders.backups, 'shop') },
			async load(name, parameters = {}) {
				const { uploads, backups } = folders;
				const { credentials } = keys;
				return client.createWorkflow(
					adjust(await readWorkflow(name), {
						...{ uploads, credentials, parameters, storage: { storage: 'local', folder: backups } },
					}),
				);
			},
			close: () => cleanup.run(),
		};
	} catch (error) {
		await cleanup.run();
		throw error;
	}
}

/** The items of a node's first output. @throws what went wrong, if the node failed or did not run. */
export function itemsOf(execution: Execution, node: string) {
	const run = execution.data.resultData.runData[node]?.at(-1);
	if (run?.error) throw new Error(`${node} failed: ${run.error.message} ${run.error.description ?? ''}`);
	if (!run) {
		throw new Error(`${node} did not run: ${execution.status} ${execution.data.resultData.error?.message}`);
	}
	return (run.data?.main?.[0] ?? []).map(({ json }) => json);
}
