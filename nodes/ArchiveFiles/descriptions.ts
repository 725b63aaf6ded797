import type { INodeProperties } from 'n8n-workflow';

import { compressionLevelOption, compressionProperty, optionsCollection } from '../shared/properties';
import { tagsOption } from '../shared/tags';

/** What to pack. A bundle may do without files of its own. */
export const pathFields: INodeProperties[] = [
	{
		displayName: 'Paths',
		name: 'paths',
		type: 'string',
		typeOptions: { multipleValues: true, multipleValueButtonText: 'Add path' },
		required: true,
		default: [],
		placeholder: 'e.g. /data/uploads or /data/*.json',
		description:
			'Files, folders (with all they hold) or globs, as n8n sees them. They must lie within what N8N_RESTRICT_FILE_ACCESS_TO allows.',
		displayOptions: { show: { operation: ['files'] } },
	},
	{
		displayName: 'Paths',
		name: 'paths',
		type: 'string',
		typeOptions: { multipleValues: true, multipleValueButtonText: 'Add path' },
		default: [],
		placeholder: 'e.g. /data/uploads or /data/*.json',
		description:
			'Files, folders (with all they hold) or globs to put into the bundle besides the incoming backups',
		displayOptions: { show: { operation: ['bundle'] } },
	},
];

export const compressionFields: INodeProperties[] = [
	{ ...compressionProperty, displayOptions: { show: { operation: ['files'] } } },
	{
		...compressionProperty,
		default: 'none',
		description: 'How the whole bundle is compressed. What the incoming backups already did is kept',
		displayOptions: { show: { operation: ['bundle'] } },
	},
];

export const optionsField = optionsCollection([
	compressionLevelOption,
	{
		displayName: 'Exclude',
		name: 'exclude',
		type: 'string',
		typeOptions: { multipleValues: true, multipleValueButtonText: 'Add pattern' },
		default: [],
		placeholder: 'e.g. **/cache/**',
		description: 'Globs of what to leave out',
	},
	{
		displayName: 'If a File Can’t Be Read',
		name: 'ifUnreadable',
		type: 'options',
		options: [
			{
				name: 'Skip It and Report',
				value: 'skip-and-report',
				description: 'Leave it out, and name it in the manifest and in a hint',
			},
			{
				name: 'Stop',
				value: 'fail',
				description: 'Fail, so that no incomplete backup passes as a whole one',
			},
		],
		default: 'fail',
		description: 'What to do about a file that may not be read, or that changes while it is read',
	},
	tagsOption,
]);
