import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { applyEncoding } from '../../lib/artifact/transform';
import { emitArtifact, readArtifact, type HandOver } from '../shared/artifacts';
import { encryptionKeys } from '../shared/credentials';

import { encodingFor } from './encoding';

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const artifact = await readArtifact(context, itemIndex);
	const encoding = await encodingFor(context, itemIndex, await encryptionKeys(context, itemIndex));
	const handOver = context.getNodeParameter('handOver', itemIndex) as HandOver;
	return [await emitArtifact(context, itemIndex, applyEncoding(artifact, encoding), handOver)];
}
