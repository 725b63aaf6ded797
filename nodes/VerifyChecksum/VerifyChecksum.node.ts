import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { testEncryptionKey } from '../shared/encryption-key-test';
import { encryptionKeyCredential } from '../shared/properties';
import { chosenOperation } from '../shared/parameters';
import { runToOutputs } from '../shared/run';
import { listStoredBackups } from '../shared/stored-backup-list';

import * as compare from './compare.operation';
import * as create from './create.operation';
import { errorOutput } from './outputs';
import * as inStorage from './in-storage.operation';
import * as restoreTestDescriptions from './restore-test.descriptions';
import * as restoreTest from './restore-test.operation';
import { storedBackupCredentials, storedBackupProperties } from './stored-backup';
import * as verify from './verify.operation';

const operations = { compare, create, inStorage, restoreTest, verify };

export class VerifyChecksum implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Verify Checksum',
		name: 'verifyChecksum',
		icon: { light: 'file:../../icons/verifyChecksum.svg', dark: 'file:../../icons/verifyChecksum.dark.svg' },
		group: ['transform'],
		version: [1],
		subtitle:
			'={{ $parameter["operation"] === "verify" ? "verify: " + $parameter["level"] : ({ compare: "compare", create: "create checksum", inStorage: "verify in storage", restoreTest: "restore test" })[$parameter["operation"]] }}',
		description: 'Prove that a backup is whole: its checksum, that it can be read, that it restores',
		defaults: { name: 'Verify Checksum' },
		usableAsTool: undefined,
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main, NodeConnectionTypes.Main],
		outputNames: ['Passed', 'Failed'],
		credentials: [
			{
				...encryptionKeyCredential,
				displayOptions: { show: { operation: ['restoreTest', 'verify'] }, hide: { level: ['stored'] } },
			},
			{
				name: 'postgres',
				required: true,
				displayOptions: { show: { operation: ['restoreTest'], scratch: ['server'] } },
			},
			...storedBackupCredentials,
		],
		properties: [
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				options: [
					{
						name: 'Compare With Earlier',
						value: 'compare',
						action: 'Compare with earlier backups',
						description: 'Find a backup that holds far less than those before it, such as after a deletion',
					},
					{
						name: 'Create Checksum',
						value: 'create',
						action: 'Create checksum',
						description: 'Compute a checksum of a backup, as a file that sha256sum -c and its kin take',
					},
					{
						name: 'Restore Test',
						value: 'restoreTest',
						action: 'Test restore of backup',
						description:
							'Restore a backup into a scratch place, compare it with its manifest, and throw it away',
					},
					{
						name: 'Verify',
						value: 'verify',
						action: 'Verify backup',
						description: 'Compare a backup with its manifest, and pass on those that hold',
					},
					{
						name: 'Verify in Storage',
						value: 'inStorage',
						action: 'Verify backups in storage',
						description: 'Compare stored backups with their manifests where they lie, without staging them',
					},
				],
				default: 'verify',
			},
			...compare.description,
			...create.description,
			...verify.description,
			...restoreTestDescriptions.description,
			...storedBackupProperties,
			...inStorage.description,
			...restoreTestDescriptions.options,
		],
	};

	methods = { credentialTest: { testEncryptionKey }, listSearch: { listStoredBackups } };

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		return await runToOutputs(this, { outputs: 2, errors: errorOutput(this) }, async (itemIndex) => {
			return await chosenOperation(this, operations, itemIndex).execute(this, itemIndex);
		});
	}
}
