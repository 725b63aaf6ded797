import { lstat, mkdir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { codeOf, LifeboatError } from '../../errors';
import { syncFolder, systemMessage } from '../../streams/atomic-file';

/** Why a path in the folder can't be used, in words an operator understands. */
export function localError(error: unknown, path: string): unknown {
	if (error instanceof LifeboatError || !(error instanceof Error) || !('syscall' in error)) return error;
	const code = codeOf(error);
	if (code === 'EACCES' || code === 'EPERM') {
		return new LifeboatError('ACCESS_DENIED', `n8n may not use ${path}: ${systemMessage(error)}`, {
			hint: 'Give the user n8n runs as permission for it, or choose another folder',
			cause: error,
		});
	}
	if (code === 'EROFS') {
		return new LifeboatError('ACCESS_DENIED', `${path} is on a read-only file system`, {
			hint: 'Mount it for writing, or choose another folder',
			cause: error,
		});
	}
	if (code === 'ENAMETOOLONG') {
		return new LifeboatError('INVALID_KEY', `The file system does not take a name as long as in ${path}`, {
			hint: 'Names of files and folders may have 255 bytes each. Choose a shorter one',
			cause: error,
		});
	}
	return new LifeboatError('STORAGE_FAILED', `${path} could not be used: ${systemMessage(error)}`, {
		hint: 'Check the disk, or the network share, that it lies on',
		cause: error,
	});
}

/** The folder itself, with symbolic links in the way to it resolved: those are the operator's own choice. */
export async function resolveRoot(folder: string): Promise<string | undefined> {
	try {
		return await realpath(folder);
	} catch (error) {
		if (codeOf(error) === 'ENOENT') return undefined;
		throw localError(error, folder);
	}
}

/**
 * Checks that no part of a key is a symbolic link: one could lead out of the folder.
 *
 * @throws LifeboatError `ACCESS_DENIED`.
 */
export async function refuseLinks(root: string, key: string): Promise<void> {
	let path = root;
	for (const part of key.split('/')) {
		path = join(path, part);
		try {
			if ((await lstat(path)).isSymbolicLink()) {
				throw new LifeboatError('ACCESS_DENIED', `${path} is a symbolic link`, {
					hint: 'Inside the folder of the backups links are not followed. Replace it by what it points to',
				});
			}
		} catch (error) {
			if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return;
			throw localError(error, path);
		}
	}
}

/** Makes a folder and those above it, durably and only for the user n8n runs as. */
export async function makeFolder(path: string): Promise<void> {
	try {
		await makeMissing(path);
	} catch (error) {
		throw localError(error, path);
	}
}

/** Level by level: what `mkdir` with `recursive` throws on a read-only file system is not the reason. */
async function makeMissing(path: string): Promise<void> {
	try {
		await mkdir(path, { mode: 0o700 });
	} catch (error) {
		const code = codeOf(error);
		if (code === 'ENOENT' && dirname(path) !== path) {
			await makeMissing(dirname(path));
			return makeMissing(path);
		}
		if ((code === 'EEXIST' || code === 'EROFS') && (await isFolder(path))) return;
		if (code !== 'EEXIST' && code !== 'ENOTDIR') throw error;
		throw new LifeboatError('INVALID_KEY', `${path} cannot be a folder: a file has that name`, {
			hint: 'Choose another folder or key',
			cause: error,
		});
	}
	await syncFolder(dirname(path));
}

async function isFolder(path: string): Promise<boolean> {
	try {
		return (await stat(path)).isDirectory();
	} catch (error) {
		if (codeOf(error) === 'ENOENT') return false;
		throw error;
	}
}
