import './engine';

import { CredentialTestContext, LoadOptionsContext } from 'n8n-core';
import {
	NodeHelpers,
	type ICredentialDataDecryptedObject,
	type INodeCredentialTestResult,
	type INodeListSearchResult,
	type INodePropertyOptions,
	type INodeType,
} from 'n8n-workflow';

import { nodePackage } from './package-loader';
import { additionalData, createWorkflow, type TestNode } from './test-workflow';

async function editorContext(node: TestNode): Promise<{ type: INodeType; context: LoadOptionsContext }> {
	const { workflow, credentials } = await createWorkflow({ nodes: [{ ...node, name: 'Node' }] });
	const created = workflow.getNode('Node')!;
	const additional = additionalData({}, workflow, credentials, '1');
	additional.currentNodeParameters = created.parameters;
	return {
		type: workflow.nodeTypes.getByNameAndVersion(created.type, created.typeVersion),
		context: new LoadOptionsContext(workflow, created, additional, ''),
	};
}

/** What a picker of the node shows (`methods.listSearch`). */
export async function listSearch(
	node: TestNode,
	method: string,
	filter?: string,
): Promise<INodeListSearchResult> {
	const { type, context } = await editorContext(node);
	const search = type.methods?.listSearch?.[method];
	if (!search) throw new Error(`${node.type} has no listSearch method ${method}`);
	return search.call(context, filter);
}

/** What a drop-down of the node shows (`methods.loadOptions`). */
export async function loadOptions(node: TestNode, method: string): Promise<INodePropertyOptions[]> {
	const { type, context } = await editorContext(node);
	const load = type.methods?.loadOptions?.[method];
	if (!load) throw new Error(`${node.type} has no loadOptions method ${method}`);
	return load.call(context);
}

/** What the credential form's test says, for a credential type that this node tests. */
export async function testCredential(
	nodeType: string,
	credentialType: string,
	data: ICredentialDataDecryptedObject,
): Promise<INodeCredentialTestResult> {
	const node = NodeHelpers.getVersionedNodeType((await nodePackage()).getNode(nodeType).type);
	const testedBy = node.description.credentials?.find(({ name }) => name === credentialType)?.testedBy;
	const method = typeof testedBy === 'string' ? node.methods?.credentialTest?.[testedBy] : undefined;
	if (!method) throw new Error(`${nodeType} does not test ${credentialType}`);
	return method.call(new CredentialTestContext(), {
		id: '1',
		name: 'Under test',
		type: credentialType,
		data,
	});
}
