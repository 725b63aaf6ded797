import { localStorage } from '../../../lib/storage/local/local-storage';
import { fileRules, resolveAllowed } from '../file-access';

import type { StorageKind } from './storage-kind';

export const local: StorageKind = {
	value: 'local',
	name: 'Local Folder',
	description: 'A folder of this server, also a mounted NAS',
	properties: [
		{
			displayName: 'Folder',
			name: 'folder',
			type: 'string',
			required: true,
			default: '',
			placeholder: 'e.g. /backups',
			description: 'The folder as n8n sees it. It must lie within what N8N_RESTRICT_FILE_ACCESS_TO allows.',
		},
	],
	async open({ context, required }) {
		const folder = await resolveAllowed(context, required('folder', 'Folder'));
		return localStorage({ folder, assertAllowed: fileRules(context) });
	},
};
