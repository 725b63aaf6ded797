import type { IDataObject, IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import { LifeboatError, messageOf } from '../../lib/errors';
import type { StoreBackupOptions, StoreBackupResult } from '../../lib/storage/backups';
import type { Storage } from '../../lib/storage/storage';
import type { Progress } from '../../lib/streams/progress';
import { presentable } from '../shared/errors';
import { notice } from '../shared/properties';
import { cancelSignal } from '../shared/run';

const show = { operation: ['copy', 'upload'] };

/** The fields of the operations that send a backup to a storage. */
export const transferProperties: INodeProperties[] = [
	{
		displayName: 'If Backup Exists',
		name: 'ifExists',
		type: 'options',
		options: [
			{ name: 'Replace', value: 'replace', description: 'Put the new one in its place' },
			{ name: 'Stop', value: 'fail', description: 'Fail, and leave the stored one as it is' },
		],
		default: 'fail',
		description:
			'What to do when another backup lies under the same key. The same backup once more is no conflict.',
		displayOptions: { show },
	},
	notice('replaceNotice', 'A backup that lies under the same key is overwritten.', {
		...show,
		ifExists: ['replace'],
	}),
	{
		displayName: 'Options',
		name: 'transferOptions',
		type: 'collection',
		placeholder: 'Add option',
		default: {},
		options: [
			{
				displayName: 'Bandwidth Limit (MB/s)',
				name: 'bandwidthLimit',
				type: 'number',
				typeOptions: { minValue: 0 },
				default: 0,
				description:
					'Megabytes (1,000,000 bytes) a second that are sent at most, on average, and read back for the proof. 0 stands for no limit.',
			},
			{
				displayName: 'Download Link (Hours)',
				name: 'linkHours',
				type: 'number',
				typeOptions: { minValue: 0, maxValue: 168 },
				default: 24,
				description:
					'Adds <code>stored.link</code>, an address at which whoever has it can read the backup for so many hours (S3 only; at most 168)',
			},
			{
				displayName: 'Proof',
				name: 'proof',
				type: 'options',
				options: [
					{
						name: 'Read Back',
						value: 'read-back',
						description:
							'Read the stored object and compare its SHA-256: the safest. Costs its download, which some providers charge for.',
					},
					{
						name: 'Service Checksum',
						value: 'service-checksum',
						description:
							'Let the service compare what it receives with checksums, where it can (S3); elsewhere it is read back. Costs no download, but proves nothing about what a later reading finds.',
					},
				],
				default: 'read-back',
				description: 'How the stored backup is proven to be what was sent',
			},
		],
		displayOptions: { show },
	},
];

/** What the fields say, and a log of the progress. */
export function transferOptions(
	context: IExecuteFunctions,
	itemIndex: number,
	fileName: string,
): StoreBackupOptions & { signal: AbortSignal } {
	const { bandwidthLimit = 0, proof = 'read-back' } = context.getNodeParameter(
		'transferOptions',
		itemIndex,
		{},
	) as { bandwidthLimit?: number; proof?: StoreBackupResult['proof']['method'] };
	return {
		...{ signal: cancelSignal(context), proof },
		ifExists: context.getNodeParameter('ifExists', itemIndex) as 'fail' | 'replace',
		...(bandwidthLimit > 0 && { maxBytesPerSecond: bandwidthLimit * 1_000_000 }),
		onProgress: (progress) => context.logger.info(`Lifeboat sends ${fileName}: ${describe(progress)}`),
	};
}

const megabytes = (bytes: number) => `${(bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 1 : 0)} MB`;

function describe({ bytes, total, bytesPerSecond, remaining }: Progress): string {
	const of = total === undefined ? '' : ` of ${megabytes(total)} (${Math.floor((bytes / total) * 100)}%)`;
	const left = remaining === undefined ? '' : `, ${Math.ceil(remaining)} s left`;
	return `${megabytes(bytes)}${of}, ${megabytes(bytesPerSecond)}/s${left}`;
}

/** Where a backup lies now, how it was proven, how fast it got there, and, if asked for, a link to it. */
export async function describeTransfer(
	context: IExecuteFunctions,
	itemIndex: number,
	storage: Storage,
	{ key, manifest, proof, sendingSeconds }: StoreBackupResult,
): Promise<IDataObject> {
	return {
		...{ storage: storage.description, key, ...proof },
		...(sendingSeconds !== undefined && {
			seconds: Math.round(sendingSeconds * 1000) / 1000,
			bytesPerSecond: Math.round(manifest.stored.size / Math.max(sendingSeconds, 0.001)),
		}),
		...(await linkTo(context, itemIndex, storage, key)),
	};
}

async function linkTo(context: IExecuteFunctions, itemIndex: number, storage: Storage, key: string) {
	const { linkHours = 0 } = context.getNodeParameter('transferOptions', itemIndex, {}) as {
		linkHours?: number;
	};
	if (linkHours <= 0) return {};
	return {
		link: await storage.link!(key, linkHours * 3600),
		linkExpiresAt: new Date(Date.now() + linkHours * 3_600_000).toISOString(),
	};
}

/** To be called before anything is sent. @throws LifeboatError `NOT_SUPPORTED` when a link is asked for that can't be had. */
export function assertLinks(context: IExecuteFunctions, itemIndex: number, storage: Storage): void {
	const { linkHours = 0 } = context.getNodeParameter('transferOptions', itemIndex, {}) as {
		linkHours?: number;
	};
	if (linkHours <= 0 || storage.link) return;
	throw new LifeboatError('NOT_SUPPORTED', `${storage.description} has no download links`, {
		hint: 'Remove the option Download Link for this storage',
	});
}

/** What a run left that was killed is removed once it has been still for so long: till then it may be taken up. */
const leftoverMs = 24 * 60 * 60 * 1000;
const sweepEveryMs = 60 * 60 * 1000;
const lastSweeps = new Map<string, number>();

/** Removes stale unfinished uploads of ours under the prefix, at most once an hour for each place. Never fails. */
export async function removeLeftovers(
	context: IExecuteFunctions,
	storage: Storage,
	prefix: string,
): Promise<void> {
	const place = `${storage.description} ${prefix}`;
	const now = Date.now();
	if (now - (lastSweeps.get(place) ?? 0) < sweepEveryMs) return;
	lastSweeps.set(place, now);
	try {
		const removed = await storage.removeUnfinished(prefix, new Date(now - leftoverMs), cancelSignal(context));
		if (removed > 0) context.logger.info(`Lifeboat removed ${removed} unfinished uploads under ${place}`);
	} catch (error) {
		// The backup at hand must not fail for what an earlier run left, such as where the key may not list uploads.
		context.logger.warn(
			`Lifeboat could not look for unfinished uploads under ${place}: ${presentable(messageOf(error))}`,
		);
	}
}
