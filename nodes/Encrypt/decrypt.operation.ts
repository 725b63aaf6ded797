import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { undoEncodings } from '../../lib/artifact/transform';
import { decoderWith } from '../../lib/encryption/decoder';
import { LifeboatError } from '../../lib/errors';
import { emitArtifact, readArtifact, type HandOver } from '../shared/artifacts';
import { encryptionKeys } from '../shared/credentials';

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const artifact = await readArtifact(context, itemIndex);
	if (artifact.manifest.transformations.at(-1)?.type !== 'encryption') {
		throw new LifeboatError('NOT_ENCRYPTED', `The backup ${artifact.manifest.fileName} is not encrypted`, {
			hint: 'Remove this node, or connect it behind the node that brings the encrypted backup',
		});
	}
	const decoder = decoderWith(await encryptionKeys(context, itemIndex));
	const decrypted = undoEncodings(
		artifact,
		decoder,
		(transformation) => transformation.type === 'encryption',
	);
	const handOver = context.getNodeParameter('handOver', itemIndex) as HandOver;
	return [await emitArtifact(context, itemIndex, decrypted, handOver)];
}
