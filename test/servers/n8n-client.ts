import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type {
	ExecutionStatus,
	IConnections,
	ICredentialDataDecryptedObject,
	INode,
	INodeTypeDescription,
	IRunExecutionData,
	IWorkflowSettings,
} from 'n8n-workflow';

// n8n sends execution data in the format of this library: the one it ships reads it.
const { parse: parseFlatted } = createRequire(join(__dirname, '../n8n/package.json'))('flatted') as {
	parse: (text: string) => unknown;
};

/** A workflow as it stands in an exported file. */
export interface WorkflowFile {
	name: string;
	nodes: INode[];
	connections: IConnections;
	settings?: IWorkflowSettings;
}

export interface StoredWorkflow extends WorkflowFile {
	id: string;
	versionId: string;
	active: boolean;
}

export interface StoredCredential {
	id: string;
	name: string;
	type: string;
}

export interface Execution {
	id: string;
	workflowId: string;
	mode: string;
	status: ExecutionStatus;
	startedAt: string;
	stoppedAt: string | null;
	data: IRunExecutionData;
}

/** The internal REST API that n8n's editor uses, as much of it as the demo and the tests need. */
export class N8nClient {
	/** The account that the client sets up on a fresh n8n. It exists on this machine's loopback only. */
	static readonly owner = {
		email: 'owner@example.com',
		firstName: 'Olive',
		lastName: 'Owner',
		password: 'Lifeboat-1',
	};

	private cookie = '';

	private constructor(readonly url: string) {}

	/** Creates the owner where there is none yet, and logs in. */
	static async login(url: string): Promise<N8nClient> {
		const client = new N8nClient(url);
		const settings = await client.request<{ userManagement: { showSetupOnFirstLoad?: boolean } }>(
			'GET',
			'/rest/settings',
		);
		const { email, password } = N8nClient.owner;
		if (settings.userManagement.showSetupOnFirstLoad) {
			await client.request('POST', '/rest/owner/setup', N8nClient.owner);
		} else {
			await client.request('POST', '/rest/login', { emailOrLdapLoginId: email, password });
		}
		return client;
	}

	/** @throws unless n8n answers with success. */
	async request<T>(method: string, path: string, body?: unknown): Promise<T> {
		const response = await fetch(this.url + path, {
			method,
			headers: { 'content-type': 'application/json', cookie: this.cookie, 'browser-id': 'lifeboat' },
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		for (const cookie of response.headers.getSetCookie()) {
			if (cookie.startsWith('n8n-auth=')) this.cookie = cookie.split(';')[0]!;
		}
		const text = await response.text();
		if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 600)}`);
		const answer = JSON.parse(text) as { data?: T } | T;
		return typeof answer === 'object' && answer !== null && 'data' in answer ? answer.data! : (answer as T);
	}

	/** Descriptions of all node types that the editor offers. */
	async nodeTypes(): Promise<INodeTypeDescription[]> {
		return this.request('GET', '/types/nodes.json');
	}

	createCredential(
		name: string,
		type: string,
		data: ICredentialDataDecryptedObject,
	): Promise<StoredCredential> {
		return this.request('POST', '/rest/credentials', { name, type, data });
	}

	/** What the 'Test' button of the credential form says. */
	testCredential(
		credential: StoredCredential,
		data: ICredentialDataDecryptedObject,
	): Promise<{ status: 'OK' | 'Error'; message: string }> {
		return this.request('POST', '/rest/credentials/test', { credentials: { ...credential, data } });
	}

	createWorkflow(workflow: WorkflowFile): Promise<StoredWorkflow> {
		return this.request('POST', '/rest/workflows', { settings: {}, ...workflow });
	}

	workflow(id: string): Promise<StoredWorkflow> {
		return this.request('GET', `/rest/workflows/${id}`);
	}

	/** Publishes it: triggers and webhooks are live from now on. */
	async activate(id: string): Promise<void> {
		const { versionId } = await this.workflow(id);
		await this.request('POST', `/rest/workflows/${id}/activate`, { versionId });
	}

	async deactivate(id: string): Promise<void> {
		await this.request('POST', `/rest/workflows/${id}/deactivate`, {});
	}

	/** Runs it from a trigger node, as a click on 'Execute workflow' does. Gives the execution's id. */
	async execute(id: string, trigger: string): Promise<string> {
		const { executionId } = await this.request<{ executionId: string }>('POST', `/rest/workflows/${id}/run`, {
			triggerToStartFrom: { name: trigger },
		});
		return executionId;
	}

	/** Calls a live webhook. Activation is asynchronous: right after it the address may not be known yet. */
	async webhook(path: string, init?: RequestInit): Promise<Response> {
		for (const deadline = Date.now() + 10_000; ; await sleep(100)) {
			const response = await fetch(`${this.url}/webhook/${path}`, init);
			if (response.status !== 404 || Date.now() > deadline) return response;
			const text = await response.text();
			if (!text.includes('not registered')) return new Response(text, response);
		}
	}

	/** Presses Stop. */
	async stop(executionId: string): Promise<void> {
		await this.request('POST', `/rest/executions/${executionId}/stop`, {});
	}

	/** The newest first. */
	async executions(workflowId: string): Promise<Array<Omit<Execution, 'data'>>> {
		const query = new URLSearchParams({ limit: '50', filter: JSON.stringify({ workflowId }) });
		const { results } = await this.request<{ results: Array<Omit<Execution, 'data'>> }>(
			'GET',
			`/rest/executions?${query.toString()}`,
		);
		return results;
	}

	async execution(id: string): Promise<Execution> {
		const execution = await this.request<Omit<Execution, 'data'> & { data: string | IRunExecutionData }>(
			'GET',
			`/rest/executions/${id}`,
		);
		const { data } = execution;
		return {
			...execution,
			data: (typeof data === 'string' ? parseFlatted(data) : data) as IRunExecutionData,
		};
	}

	/** Waits until an execution has ended. */
	async finished(id: string, timeout = 120_000): Promise<Execution> {
		for (const deadline = Date.now() + timeout; ; await sleep(250)) {
			const execution = await this.execution(id);
			if (!['new', 'running', 'waiting', 'unknown'].includes(execution.status)) return execution;
			if (Date.now() > deadline)
				throw new Error(`Execution ${id} is still ${execution.status} after ${timeout} ms`);
		}
	}

	/** Waits until a workflow has an execution that this client did not start, such as one of a schedule. */
	async started(workflowId: string, timeout = 120_000): Promise<string> {
		for (const deadline = Date.now() + timeout; ; await sleep(250)) {
			const newest = (await this.executions(workflowId))[0];
			if (newest) return newest.id;
			if (Date.now() > deadline)
				throw new Error(`Workflow ${workflowId} has not started within ${timeout} ms`);
		}
	}
}
