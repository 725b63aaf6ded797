import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { testEncryptionKey } from '../shared/encryption-key-test';
import { encryptionKeyCredential, handOverProperty } from '../shared/properties';
import { chosenOperation } from '../shared/parameters';
import { runPerItem } from '../shared/run';
import { listStoredBackups } from '../shared/stored-backup-list';

import * as createKey from './create-key.operation';
import * as decrypt from './decrypt.operation';
import { encodingProperties } from './encoding';
import * as encrypt from './encrypt.operation';
import * as recoveryKit from './recovery-kit.operation';
import * as reencrypt from './reencrypt.operation';

const operations = { createKey, decrypt, encrypt, recoveryKit, reencrypt };

export class Encrypt implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Encrypt',
		name: 'encrypt',
		icon: { light: 'file:../../icons/encrypt.svg', dark: 'file:../../icons/encrypt.dark.svg' },
		group: ['transform'],
		version: [1],
		subtitle:
			'={{ ({ createKey: "create key", decrypt: "decrypt", recoveryKit: "recovery kit", encrypt: "encrypt with ", reencrypt: "re-encrypt with " })[$parameter["operation"]] + (["encrypt", "reencrypt"].includes($parameter["operation"]) ? $parameter["encryptWith"] : "") }}',
		description: 'Encrypt backups with age, OpenPGP or AES-256-GCM, decrypt them, or change their keys',
		sensitiveOutputFields: ['identity'],
		defaults: { name: 'Encrypt' },
		usableAsTool: undefined,
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		credentials: [
			{
				...encryptionKeyCredential,
				required: true,
				displayOptions: { show: { operation: ['decrypt', 'encrypt', 'recoveryKit', 'reencrypt'] } },
			},
			...reencrypt.reencryptCredentials,
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
						name: 'Create Key',
						value: 'createKey',
						action: 'Create key pair',
						description: 'Make an age key pair: a recipient for n8n, an identity for your safe',
					},
					{
						name: 'Create Recovery Kit',
						value: 'recoveryKit',
						action: 'Create recovery kit',
						description:
							'Make a small archive that opens backups where n8n is not: a script and instructions',
					},
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
					{
						name: 'Re-Encrypt',
						value: 'reencrypt',
						action: 'Re encrypt backup',
						description: 'Change the recipients, passphrase or format of an encrypted backup',
					},
				],
				default: 'encrypt',
			},
			...createKey.description,
			...reencrypt.description,
			...encodingProperties,
			...recoveryKit.description,
			{
				...handOverProperty,
				displayOptions: {
					show: { operation: ['decrypt', 'encrypt', 'reencrypt'] },
					hide: { backupSource: ['stored'] },
				},
			},
		],
	};

	methods = { credentialTest: { testEncryptionKey }, listSearch: { listStoredBackups } };

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		return await runPerItem(this, async (itemIndex) => {
			return await chosenOperation(this, operations, itemIndex).execute(this, itemIndex);
		});
	}
}
