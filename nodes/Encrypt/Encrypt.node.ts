import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { testEncryptionKey } from '../shared/encryption-key-test';
import { handOverProperty } from '../shared/properties';
import { runPerItem } from '../shared/run';

import * as decrypt from './decrypt.operation';
import * as encrypt from './encrypt.operation';

export class Encrypt implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Encrypt',
		name: 'encrypt',
		icon: { light: 'file:../../icons/encrypt.svg', dark: 'file:../../icons/encrypt.dark.svg' },
		group: ['transform'],
		version: [1],
		subtitle: '={{ $parameter["operation"] === "decrypt" ? "decrypt" : "encrypt with age" }}',
		description: 'Encrypt backups with age, or decrypt them',
		defaults: { name: 'Encrypt' },
		usableAsTool: undefined,
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		credentials: [
			{
				name: 'lifeboatEncryptionApi',
				displayName: 'Backup Encryption Key',
				required: true,
				testedBy: 'testEncryptionKey',
			},
		],
		hints: [
			{
				message:
					'Keep the identity (or passphrase) somewhere outside this server too: without it nobody can open these backups',
				type: 'info',
				location: 'ndv',
				whenToDisplay: 'beforeExecution',
				displayCondition: '={{ $parameter["operation"] === "encrypt" }}',
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
						name: 'Decrypt',
						value: 'decrypt',
						action: 'Decrypt backup',
						description: 'Undo the encryption of a backup',
					},
					{
						name: 'Encrypt',
						value: 'encrypt',
						action: 'Encrypt backup',
						description: 'Encrypt a backup so that only the holder of the key can open it',
					},
				],
				default: 'encrypt',
			},
			...encrypt.description,
			handOverProperty,
		],
	};

	methods = { credentialTest: { testEncryptionKey } };

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		return await runPerItem(this, async (itemIndex) => {
			const operation = this.getNodeParameter('operation', itemIndex) as string;
			return await (operation === 'decrypt' ? decrypt : encrypt).execute(this, itemIndex);
		});
	}
}
