import { LifeboatError } from '../../errors';

import { Status, statusOf } from './errors';
import type { SftpSessions } from './sessions';

/** Bytes free below which a file system counts as full: what was under way when it refused fits into it. */
const FULL = 4 * 1024 * 1024;

/** What is written, for messages, and where. */
interface Writing {
	sessions: SftpSessions;
	description: string;
	key: string;
}

/** @throws LifeboatError `DISK_FULL` where the server tells that so many bytes don't fit into the folder's file system. */
export async function assertSpace(target: Writing, folder: string, size: number): Promise<void> {
	const free = await freeSpace(target, folder);
	if (free === undefined || free >= BigInt(size)) return;
	throw new LifeboatError(
		'DISK_FULL',
		`${target.description} has ${free} bytes free, the backup needs ${size}`,
		{ hint: 'Free space on the disk of the server, or choose a folder on another one. Nothing was written' },
	);
}

/** SFTP has no answer for a full disk: a plain failure while writing is one if the file system has no room. */
export async function explainFailure(target: Writing, folder: string, error: unknown): Promise<unknown> {
	if (statusOf(error) !== Status.FAILURE) return error;
	const free = await freeSpace(target, folder).catch(() => undefined);
	if (free === undefined || free >= BigInt(FULL)) return error;
	return new LifeboatError(
		'DISK_FULL',
		`No space left while writing ${target.key} to ${target.description}`,
		{
			hint: 'Free space on the disk of the server, or raise the quota, then run the node again. Nothing incomplete was kept',
			cause: error,
		},
	);
}

const freeSpace = ({ sessions }: Writing, folder: string) =>
	sessions.run(undefined, (session) => session.freeSpace(folder), 0);
