import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { INode, INodeParameters } from 'n8n-workflow';

import type { StoredCredential, WorkflowFile } from '../test/servers/n8n-client';

/** The example workflows, by the names of their files. */
export const exampleWorkflows = [
	...(['nightly-backup', 'restore-on-webhook', 'back-up-and-prove', 'watch-and-alert'] as const),
	...(['weekly-restore-test', 'before-update', 'configuration-hourly', 'monthly-audit'] as const),
	...(['move-house', 'rebuild-server', 'refresh-staging', 'restore-one-table'] as const),
	...(['three-copies', 'whole-server'] as const),
];

export type WorkflowName = (typeof exampleWorkflows)[number];

export interface Adjustments {
	/** In place of the folder and path settings of the example. */
	uploads: string;
	storage: { storage: 'local'; folder: string } | { storage: 's3'; bucket: string };
	/** One of each type that the workflow's nodes ask for. */
	credentials: StoredCredential[];
	/** More parameters, by node name. */
	parameters?: Record<string, INodeParameters>;
}

/** An example workflow as it is published. */
export async function readWorkflow(name: WorkflowName): Promise<WorkflowFile> {
	return JSON.parse(await readFile(join(__dirname, `../workflows/${name}.json`), 'utf8')) as WorkflowFile;
}

/** The same with what an operator fills in after importing it: folders, storage, credentials. Nothing else changes. */
export function adjust(
	workflow: WorkflowFile,
	{ uploads, storage, credentials, parameters = {} }: Adjustments,
): WorkflowFile {
	const change = (node: INode): INode => {
		const changed: INodeParameters = { ...node.parameters };
		if (Array.isArray(changed.paths) && changed.paths.length > 0) changed.paths = [`${uploads}/**`];
		if (changed.targetFolder !== undefined) changed.targetFolder = uploads;
		if (changed.folder !== undefined) {
			delete changed.folder;
			Object.assign(changed, storage);
		}
		const mine = credentials.filter(({ type }) => credentialTypes(node, storage.storage).includes(type));
		return {
			...node,
			parameters: { ...changed, ...parameters[node.name] },
			credentials: Object.fromEntries(mine.map(({ type, id, name }) => [type, { id, name }])),
		};
	};
	return { ...workflow, nodes: workflow.nodes.map(change) };
}

function credentialTypes({ type, parameters }: INode, storage: string): string[] {
	switch (type) {
		case 'n8n-nodes-lifeboat.dumpDatabase':
			return ['postgres'];
		case 'n8n-nodes-lifeboat.encrypt':
			return ['lifeboatEncryptionApi'];
		case 'n8n-nodes-lifeboat.verifyChecksum':
			return [
				...(parameters.level === undefined && parameters.operation !== 'restoreTest'
					? []
					: ['lifeboatEncryptionApi']),
				...(parameters.proof === 'storage' && storage === 's3' ? ['s3'] : []),
			];
		case 'n8n-nodes-lifeboat.restore':
			return parameters.operation === 'files'
				? ['lifeboatEncryptionApi']
				: ['lifeboatEncryptionApi', 'postgres'];
		case 'n8n-nodes-lifeboat.upload':
		case 'n8n-nodes-lifeboat.applyRetention':
		case 'n8n-nodes-lifeboat.backupWatchTrigger':
			return storage === 's3' ? ['s3'] : [];
		case 'n8n-nodes-base.webhook':
			return ['httpHeaderAuth'];
		default:
			return [];
	}
}
