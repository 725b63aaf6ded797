import type { IDataObject, IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { decoderWith } from '../../lib/encryption/decoder';
import { LifeboatError } from '../../lib/errors';
import { verifyChecksumFile } from '../../lib/verification/checksum';
import { checkBackup, isVerdict } from '../../lib/verification/outcome';
import type { VerificationLevel } from '../../lib/verification/report';
import { passOn, readArtifact } from '../shared/artifacts';
import { encryptionKeys } from '../shared/credentials';
import { textParameter } from '../shared/parameters';
import { cancelSignal } from '../shared/run';

import { failed, passed } from './outputs';

export const description: INodeProperties[] = [
	{
		displayName: 'Level',
		name: 'level',
		type: 'options',
		options: [
			{
				name: 'Stored',
				value: 'stored',
				description: 'Size and SHA-256 of the bytes are those of the manifest',
			},
			{
				name: 'Readable',
				value: 'readable',
				description: 'It also decrypts and decompresses to the end, and the content is what was backed up',
			},
			{
				name: 'Complete',
				value: 'complete',
				description: "The format's end is also there, and every table has as many rows as were counted",
			},
		],
		default: 'stored',
		description: 'How much is proven. Each level includes those before it and reads the whole backup once.',
		displayOptions: { show: { operation: ['verify'] } },
	},
	{
		displayName: 'Checksum File in Field',
		name: 'checksumField',
		type: 'string',
		default: '',
		placeholder: 'e.g. checksum',
		description:
			'A binary field with a file as sha256sum, sha512sum, b2sum or md5sum write it, to compare the bytes with as well. Empty stands for none.',
		displayOptions: { show: { operation: ['verify'] } },
	},
];

/** A checksum file that lists a hundred thousand files has 20 MB. */
const MAX_CHECKSUM_FILE = 64 * 1024 * 1024;

export async function execute(
	context: IExecuteFunctions,
	itemIndex: number,
): Promise<INodeExecutionData[][]> {
	const artifact = await readArtifact(context, itemIndex);
	const level = context.getNodeParameter('level', itemIndex) as VerificationLevel;
	const decoder = decoderWith(level === 'stored' ? {} : await encryptionKeys(context, itemIndex));
	const outcome = await checkBackup(artifact, level, decoder, cancelSignal(context));
	if (!outcome.passed) {
		const { error, proved } = outcome;
		return failed(context, itemIndex, error, { level: outcome.level, proved, manifest: artifact.manifest });
	}
	const field = textParameter(context, 'checksumField', itemIndex);
	if (field !== '') {
		try {
			const text = await checksumFile(context, itemIndex, field);
			outcome.report.proved.push(await verifyChecksumFile(artifact, text, cancelSignal(context)));
		} catch (error) {
			if (!isVerdict(error)) throw error;
			const { proved } = outcome.report;
			return failed(context, itemIndex, error, { level: 'stored', proved, manifest: artifact.manifest });
		}
	}
	// The backup passes on unchanged: verifying is a step on the way to Upload.
	return passed(passOn(context, itemIndex, { verification: outcome.report as unknown as IDataObject }));
}

async function checksumFile(context: IExecuteFunctions, itemIndex: number, field: string): Promise<string> {
	context.helpers.assertBinaryData(itemIndex, field);
	const bytes = await context.helpers.getBinaryDataBuffer(itemIndex, field);
	if (bytes.length <= MAX_CHECKSUM_FILE) return bytes.toString('utf8');
	throw new LifeboatError(
		'CHECKSUM_FILE_INVALID',
		`The field "${field}" holds no checksum file: it is too large`,
		{
			hint: 'Give the field that holds the checksum file, not the backup',
		},
	);
}
