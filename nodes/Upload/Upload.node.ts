import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { testCustomerKey } from '../shared/customer-key-test';
import { chosenOperation } from '../shared/parameters';
import { runPerItem } from '../shared/run';
import { testS3 } from '../shared/s3-test';
import { twoStorageCredentials } from '../shared/second-storage';
import { placeExpression, storageProperties } from '../shared/storage';
import { listStoredBackups } from '../shared/stored-backup-list';
import { testWebDav } from '../shared/webdav-test';

import * as copy from './copy.operation';
import * as deletion from './delete.operation';
import * as download from './download.operation';
import * as list from './list.operation';
import { selectProperties } from './select';
import { transferProperties } from './transfer';
import * as test from './test.operation';
import * as upload from './upload.operation';

/** The test buttons of the package's own types, and of n8n's where it has none. */
const credentialTests: Record<string, string> = {
	lifeboatS3CustomerKeyApi: 'testCustomerKey',
	lifeboatWebDavApi: 'testWebDav',
	s3: 'testS3',
};

const operations = { copy, delete: deletion, download, list, test, upload };

export class Upload implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Upload',
		name: 'upload',
		icon: { light: 'file:../../icons/upload.svg', dark: 'file:../../icons/upload.dark.svg' },
		group: ['output'],
		version: [1],
		subtitle: `={{ $parameter["operation"] }}: {{ ${placeExpression} }}`,
		description:
			'Store backups in a folder, an S3 bucket or on another server, proven whole, or get them back',
		defaults: { name: 'Upload' },
		usableAsTool: undefined,
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		credentials: twoStorageCredentials.map((credential) => ({
			...credential,
			...(credential.name in credentialTests && { testedBy: credentialTests[credential.name] }),
		})),
		properties: [
			// All are about backups: a choice of one resource would only be one more click.
			// eslint-disable-next-line @n8n/community-nodes/resource-operation-pattern
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				options: [
					{
						name: 'Copy to Another Destination',
						value: 'copy',
						action: 'Copy backup to another destination',
						description: 'Copy a stored backup into a second storage, proven there',
					},
					{
						name: 'Delete',
						value: 'delete',
						action: 'Delete backup',
						description: 'Remove a stored backup with the files beside it, unless it is pinned',
					},
					{
						name: 'Download',
						value: 'download',
						action: 'Download backup',
						description: 'Get a stored backup, the newest or a certain one',
					},
					{
						name: 'List',
						value: 'list',
						action: 'List backups',
						description: 'Tell which backups there are',
					},
					{
						name: 'Test Destination',
						value: 'test',
						action: 'Test destination',
						description: 'Write, read, list and delete a small probe, and tell what works',
					},
					{
						name: 'Upload',
						value: 'upload',
						action: 'Upload backup',
						description: 'Store a backup, with its manifest and checksum beside it',
					},
				],
				default: 'upload',
			},
			...storageProperties,
			...selectProperties(['copy', 'download'], { newest: true }),
			...selectProperties(['delete'], { newest: false }),
			...deletion.description,
			...copy.description,
			...upload.description,
			...transferProperties,
			...download.description,
			...list.description,
		],
	};

	methods = { credentialTest: { testCustomerKey, testS3, testWebDav }, listSearch: { listStoredBackups } };

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		return await runPerItem(this, async (itemIndex) => {
			return await chosenOperation(this, operations, itemIndex).execute(this, itemIndex);
		});
	}
}
