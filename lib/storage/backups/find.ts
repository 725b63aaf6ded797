import { LifeboatError } from '../../errors';
import type { Storage } from '../storage';

import { listBackups, type ListBackupsOptions } from './list';
import type { StoredBackup } from './read';

/**
 * The one backup with an id. Reads the manifests of all that lie under the prefix.
 *
 * @throws LifeboatError `NOT_FOUND`; `AMBIGUOUS` if it lies under several keys.
 */
export async function backupById(
	storage: Storage,
	id: string,
	options: ListBackupsOptions = {},
): Promise<StoredBackup> {
	const found: StoredBackup[] = [];
	for await (const backup of listBackups(storage, options)) {
		if (backup.manifest?.id === id) found.push(backup);
	}
	const where = `${options.prefix ? `under ${options.prefix} ` : ''}in ${storage.description}`;
	if (found.length > 1) {
		const keys = found.map(({ key }) => key).join(', ');
		throw new LifeboatError('AMBIGUOUS', `The backup ${id} lies more than once ${where}: ${keys}`, {
			hint: 'Choose one of them by its key',
		});
	}
	if (found[0]) return found[0];
	throw new LifeboatError('NOT_FOUND', `There is no backup with the id ${id} ${where}`, {
		hint: 'List the backups to see which there are. One whose manifest is damaged can only be chosen by its key',
	});
}
