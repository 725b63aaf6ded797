import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import type { Artifact } from '../../lib/artifact/artifact';
import { withTags } from '../../lib/artifact/tags';

/** Goes into the options of a node that makes backups. */
export const tagsOption: INodeProperties = {
	displayName: 'Tags',
	name: 'tags',
	type: 'string',
	typeOptions: { multipleValues: true, multipleValueButtonText: 'Add tag' },
	default: [],
	placeholder: 'e.g. release',
	description: 'Words by which Apply Retention may keep this backup (rule Keep Tags)',
};

/** The artifact with the tags that the node's options name. @throws LifeboatError `INVALID_OPTION`. */
export function tagged(context: IExecuteFunctions, itemIndex: number, artifact: Artifact): Artifact {
	const { tags } = context.getNodeParameter('options', itemIndex, {}) as { tags?: string | string[] };
	const given = [tags ?? []].flat().filter((tag) => tag.trim() !== '');
	return withTags(artifact, given);
}
