import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { testEncryptionKey } from '../shared/encryption-key-test';
import { runToOutputs } from '../shared/run';

import * as create from './create.operation';
import { errorOutput } from './outputs';
import * as verify from './verify.operation';

export class VerifyChecksum implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Verify Checksum',
		name: 'verifyChecksum',
		icon: { light: 'file:../../icons/verifyChecksum.svg', dark: 'file:../../icons/verifyChecksum.dark.svg' },
		group: ['transform'],
		version: [1],
		subtitle:
			'={{ $parameter["operation"] === "create" ? "create checksum" : "verify: " + $parameter["level"] }}',
		description: 'Prove that a backup is whole: its checksum, that it can be read, that nothing is missing',
		defaults: { name: 'Verify Checksum' },
		usableAsTool: undefined,
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main, NodeConnectionTypes.Main],
		outputNames: ['Passed', 'Failed'],
		credentials: [
			{
				name: 'lifeboatEncryptionApi',
				displayName: 'Backup Encryption Key',
				required: false,
				testedBy: 'testEncryptionKey',
				displayOptions: { show: { operation: ['verify'], level: ['readable', 'complete'] } },
			},
		],
		properties: [
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				options: [
					{
						name: 'Create Checksum',
						value: 'create',
						action: 'Create checksum',
						description: 'Compute the SHA-256 of a backup, as a file that sha256sum -c takes',
					},
					{
						name: 'Verify',
						value: 'verify',
						action: 'Verify backup',
						description: 'Compare a backup with its manifest, and pass on those that hold',
					},
				],
				default: 'verify',
			},
			...create.description,
			...verify.description,
		],
	};

	methods = { credentialTest: { testEncryptionKey } };

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		return await runToOutputs(this, { outputs: 2, errors: errorOutput(this) }, async (itemIndex) => {
			const operation = this.getNodeParameter('operation', itemIndex) as string;
			return await (operation === 'create' ? create : verify).execute(this, itemIndex);
		});
	}
}
