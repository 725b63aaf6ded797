import './engine';

import { Container } from '@n8n/di';
import { PollContext, TriggersAndPollers } from 'n8n-core';
import type { IDataObject, INodeExecutionData } from 'n8n-workflow';

import { additionalData, createWorkflow, type Credentials, type TestNode } from './test-workflow';

/** A polling trigger of an active workflow, asked by hand. */
export interface Poller {
	/** What one poll tells; undefined when it starts nothing. @throws what the node throws. */
	poll: (mode?: 'trigger' | 'manual') => Promise<IDataObject[] | undefined>;
	/** What n8n would store of it. */
	staticData: () => IDataObject;
}

/**
 * Gives a trigger n8n's own context for polls. Folders are those of N8N_RESTRICT_FILE_ACCESS_TO.
 *
 * @param stored the static data of an earlier poller: n8n was restarted since.
 */
export async function createPoller(
	node: TestNode,
	credentials: Credentials = {},
	stored?: IDataObject,
): Promise<Poller> {
	const { workflow, credentials: byId } = await createWorkflow({
		nodes: [{ ...node, name: 'Trigger' }],
		credentials,
		connections: {},
	});
	const created = workflow.getNode('Trigger')!;
	Object.assign(workflow.getStaticData('node', created), stored);
	return {
		async poll(mode = 'trigger') {
			const additional = additionalData({ mode }, workflow, byId, '1');
			const context = new PollContext(workflow, created, additional, mode, 'activate');
			const outputs: INodeExecutionData[][] | null = await Container.get(TriggersAndPollers).runPollFunction(
				workflow,
				created,
				context,
			);
			return outputs?.[0]?.map(({ json }) => json);
		},
		staticData: () => JSON.parse(JSON.stringify(workflow.getStaticData('node', created))) as IDataObject,
	};
}
