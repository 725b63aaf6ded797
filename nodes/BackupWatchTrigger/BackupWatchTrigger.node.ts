import {
	NodeConnectionTypes,
	type INodeExecutionData,
	type INodeProperties,
	type INodeType,
	type INodeTypeDescription,
	type IPollFunctions,
} from 'n8n-workflow';

import { placeExpression, storageCredentials, storageProperties } from '../shared/storage';

import { poll } from './poll';
import { ruleProperties } from './rules';

/** n8n's own default for the times is each minute. */
const pollNotice: INodeProperties = {
	displayName:
		'Polling once an hour is enough: each time the manifests of all backups under the prefix are read.',
	name: 'pollNotice',
	type: 'notice',
	default: '',
};

export class BackupWatchTrigger implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Backup Watch Trigger',
		name: 'backupWatchTrigger',
		icon: {
			light: 'file:../../icons/backupWatchTrigger.svg',
			dark: 'file:../../icons/backupWatchTrigger.dark.svg',
		},
		group: ['trigger'],
		version: [1],
		subtitle: `={{ ${placeExpression} }}{{ $parameter["maxAge"] ? ", at most " + $parameter["maxAge"] + " old" : "" }}`,
		description:
			'Starts the workflow when backups stop, shrink or go untested, and once when all is well again',
		eventTriggerDescription: '',
		activationMessage:
			'The backups are watched from now on: you will be told once of each thing that is wrong',
		defaults: { name: 'Backup Watch Trigger' },
		polling: true,
		usableAsTool: undefined,
		inputs: [],
		outputs: [NodeConnectionTypes.Main],
		credentials: storageCredentials,
		properties: [pollNotice, ...storageProperties, ...ruleProperties],
	};

	async poll(this: IPollFunctions): Promise<INodeExecutionData[][] | null> {
		return await poll(this);
	}
}
