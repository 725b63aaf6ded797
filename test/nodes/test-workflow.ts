import './engine-environment';

import { randomUUID } from 'node:crypto';

import { ExecutionLifecycleHooks } from 'n8n-core';
import {
	NodeHelpers,
	Workflow,
	type IConnections,
	type ICredentialDataDecryptedObject,
	type ICredentialsHelper,
	type INode,
	type INodeExecutionData,
	type INodeType,
	type INodeTypes,
	type IWorkflowExecuteAdditionalData,
	type IWorkflowSettings,
	type WorkflowExecuteMode,
} from 'n8n-workflow';

import { nodePackage } from './package-loader';
import { inlineType, startType, type InlineStep } from './step-types';

/** Credential data by credential type. */
export type Credentials = Record<string, ICredentialDataDecryptedObject>;

/** A node of a workflow under test. */
export interface TestNode {
	/** Unique; the type's last part unless given. */
	name?: string;
	/** `dumpDatabase` for one of the project's nodes. */
	type: string;
	typeVersion?: number;
	parameters?: Record<string, unknown>;
	/** In place of the workflow's, for this node. */
	credentials?: Credentials;
	onError?: INode['onError'];
	retryOnFail?: boolean;
	maxTries?: number;
	disabled?: boolean;
}

/** A node whose work is a function of the test: it may look at, change or damage what passes. */
export interface InlineNode {
	name: string;
	run: InlineStep;
	/** How many inputs it has; it starts when all of them have data. 1 unless given. */
	inputs?: number;
}

/** The workflow itself, and what its nodes log in with. */
export interface TestWorkflow {
	/** Without `connections` each node is followed by the next one; the first one gets `input`. */
	nodes: Array<TestNode | InlineNode>;
	/** By node name, as n8n has them. The start node is called `Start`. */
	connections?: IConnections;
	/** What the first node gets. One empty item unless given. */
	input?: INodeExecutionData[];
	credentials?: Credentials;
	settings?: IWorkflowSettings;
	workflowName?: string;
}

/** Gives the workflow and the credentials by id. */
export async function createWorkflow(run: TestWorkflow) {
	const loader = await nodePackage();
	const inline = new Map<string, INodeType>([['start', startType(run.input ?? [{ json: {} }])]]);
	const credentials = new Map<string, ICredentialDataDecryptedObject>();

	const nodes: INode[] = [{ name: 'Start', type: 'start' }, ...run.nodes].map((spec, index) => {
		const common = { id: randomUUID(), typeVersion: 1, position: [index * 220, 0] as [number, number] };
		if ('run' in spec) {
			inline.set(`inline-${spec.name}`, inlineType(spec.run, spec.inputs));
			return { ...common, name: spec.name, type: `inline-${spec.name}`, parameters: {} };
		}
		const { name = spec.type, type, credentials: own, ...rest } = spec;
		if (type === 'start') return { ...common, name, type, parameters: {} };
		const known = loader.getNode(type).type;
		const wanted = NodeHelpers.getVersionedNodeType(known, rest.typeVersion).description.credentials ?? [];
		const given = { ...run.credentials, ...own };
		const ids = wanted.flatMap(({ name: credential }) => {
			const data = given[credential];
			if (!data) return [];
			const id = `${name}/${credential}`;
			credentials.set(id, data);
			return [[credential, { id, name: credential }]];
		});
		return {
			...common,
			...rest,
			name,
			type: `n8n-nodes-lifeboat.${type}`,
			parameters: (rest.parameters ?? {}) as INode['parameters'],
			credentials: Object.fromEntries(ids) as INode['credentials'],
		};
	});

	const typeOf = (type: string) =>
		inline.get(type) ?? loader.getNode(type.replace('n8n-nodes-lifeboat.', '')).type;
	const nodeTypes: INodeTypes = {
		getByName: typeOf,
		getByNameAndVersion: (type, version) => NodeHelpers.getVersionedNodeType(typeOf(type), version),
		getKnownTypes: () => loader.known.nodes,
	};
	const connections = run.connections ?? chain(nodes);
	const workflow = new Workflow({
		...{ id: 'workflow-under-test', name: run.workflowName ?? 'Workflow under test', active: false },
		...{ nodes, connections, nodeTypes, settings: { executionOrder: 'v1', ...run.settings } },
	});
	return { workflow, credentials };
}

function chain(nodes: INode[]): IConnections {
	return Object.fromEntries(
		nodes
			.slice(0, -1)
			.map((node, index) => [
				node.name,
				{ main: [[{ node: nodes[index + 1]!.name, type: 'main' as const, index: 0 }]] },
			]),
	);
}

/** What n8n's server gives an execution: hooks, credentials, addresses. */
export function additionalData(
	run: { mode?: WorkflowExecuteMode; onNodeStart?: (name: string) => void },
	workflow: Workflow,
	credentials: Map<string, ICredentialDataDecryptedObject>,
	executionId: string,
	messages: unknown[] = [],
): IWorkflowExecuteAdditionalData {
	const base = 'http://127.0.0.1';
	const hooks = new ExecutionLifecycleHooks(run.mode ?? 'manual', executionId, {
		...{ id: workflow.id, name: workflow.name!, active: false, isArchived: false },
		...{ createdAt: new Date(), updatedAt: new Date(), activeVersionId: null },
		...{ nodes: Object.values(workflow.nodes), connections: workflow.connectionsBySourceNode },
	});
	hooks.addHandler('nodeExecuteBefore', (name) => run.onNodeStart?.(name));
	const credentialsHelper: Pick<
		ICredentialsHelper,
		'getDecrypted' | 'getParentTypes' | 'isCredentialUsableByNode'
	> = {
		async getDecrypted(_additionalData, { id }) {
			const data = credentials.get(id ?? '');
			if (!data) throw new Error(`The test gives no credential ${id}`);
			return structuredClone(data);
		},
		getParentTypes: () => [],
		isCredentialUsableByNode: () => true,
	};
	return {
		...{
			executionId,
			hooks,
			credentialsHelper,
			currentNodeExecutionIndex: 0,
			variables: {},
			userId: 'owner',
		},
		...{ restApiUrl: `${base}/rest`, instanceBaseUrl: `${base}/`, webhookBaseUrl: `${base}/webhook` },
		...{ webhookWaitingBaseUrl: `${base}/webhook-waiting`, webhookTestBaseUrl: `${base}/webhook-test` },
		...{ formWaitingBaseUrl: `${base}/form-waiting`, workflowId: workflow.id },
		sendDataToUI: (_type: string, data: unknown) => messages.push(data),
		// A run of these nodes uses nothing else of what a server has (sub-workflows, agents, runners).
	} as unknown as IWorkflowExecuteAdditionalData;
}
