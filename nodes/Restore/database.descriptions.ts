import type { INodeProperties } from 'n8n-workflow';

import { databaseProperty, notice } from '../shared/properties';

const show = { operation: ['database'] };

export const description: INodeProperties[] = [
	{
		displayName: 'Take Backup From',
		name: 'takeFrom',
		type: 'options',
		options: [
			{
				name: 'Binary Data',
				value: 'binary',
				description: 'A dump of any origin in a binary field of the item, without a manifest',
			},
			{
				name: 'File',
				value: 'file',
				description: 'A dump of any origin in a file that n8n sees, without a manifest',
			},
			{
				name: 'Input Item',
				value: 'item',
				description: 'A backup with its manifest, as Upload downloads it',
			},
		],
		default: 'item',
		description:
			'Where the dump is. Without a manifest it is told by its first bytes what it is, and how it is compressed and encrypted.',
		displayOptions: { show },
	},
	{
		displayName: 'Input Binary Field',
		name: 'binaryPropertyName',
		type: 'string',
		required: true,
		default: 'data',
		description: 'The name of the binary field that holds the dump',
		displayOptions: { show: { ...show, takeFrom: ['binary'] } },
	},
	{
		displayName: 'File Path',
		name: 'filePath',
		type: 'string',
		required: true,
		default: '',
		placeholder: 'e.g. /data/dumps/shop.dump.gz',
		description:
			'The path of the dump, as n8n sees it. It must lie within what N8N_RESTRICT_FILE_ACCESS_TO allows.',
		displayOptions: { show: { ...show, takeFrom: ['file'] } },
	},
	{
		displayName: 'Restore Into',
		name: 'target',
		type: 'options',
		options: [
			{
				name: 'Existing Database',
				value: 'existing',
				description: 'Into a database that is there, in one transaction',
			},
			{ name: 'New Database', value: 'new', description: 'Into a database that this node creates' },
			{
				name: 'Swap With Existing Database',
				value: 'swap',
				description:
					'Into a database beside the existing one, which serves on until the restored one is checked and takes its place',
			},
		],
		default: 'existing',
		description: 'Where the backup goes. Whatever fails, an existing database stays as it was.',
		displayOptions: { show },
	},
	databaseProperty({
		displayName: 'Target Database',
		name: 'targetDatabase',
		description:
			"The database to restore into; a new one is given by its name. Empty stands for the credential's.",
		displayOptions: { show },
	}),
	{
		displayName: 'If Target Is Not Empty',
		name: 'ifNotEmpty',
		type: 'options',
		options: [
			{
				name: 'Merge',
				value: 'merge',
				description:
					'Add what is missing. Objects that are there stay as they are, and so do rows, by their primary key.',
			},
			{
				name: 'Remove Everything in It',
				value: 'clean',
				description:
					'Drop all it holds (of parts: those parts) and restore, in one transaction: if the restore fails, it stays as it was',
			},
			{ name: 'Stop', value: 'stop', description: 'Fail, and leave it as it is' },
		],
		default: 'stop',
		description: 'What to do when the target database holds anything',
		displayOptions: { show: { ...show, target: ['existing'] } },
	},
	notice(
		'cleanNotice',
		'What the target database holds is dropped. The option Dry Run tells what that would be, and touches nothing.',
		{ ...show, target: ['existing'], ifNotEmpty: ['clean'] },
	),
	{
		displayName: 'Present Content',
		name: 'presentContent',
		type: 'options',
		options: [
			{ name: 'Drop', value: 'drop', description: 'Remove it once the restored database is in its place' },
			{ name: 'Keep', value: 'keep', description: 'Keep it, as a database with the date in its name' },
		],
		default: 'keep',
		description: 'What becomes of what the database held before',
		displayOptions: { show: { ...show, target: ['swap'] } },
	},
	notice(
		'dropNotice',
		'What the database holds now is gone for good once the restored one is in its place.',
		{ ...show, target: ['swap'], presentContent: ['drop'] },
	),
];
