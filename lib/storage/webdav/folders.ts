import { LifeboatError } from '../../errors';

import { hasStatus, StatusError } from './errors';
import { send } from './exchange';
import { lookUp } from './propfind';
import type { WebDavTarget } from './target';

/**
 * Makes a folder and those above it, as far as they are missing.
 *
 * @param path ends with `/`, or is empty for the address itself, which is never made.
 * @throws LifeboatError `INVALID_KEY` if a file has the name of one of them.
 */
export async function makeFolder(target: WebDavTarget, path: string, signal?: AbortSignal): Promise<void> {
	if (target.knownFolders.has(path)) return;
	if (!(await isFolder(target, path, signal))) {
		if (path === '') throw noSuchAddress(target);
		await makeFolder(target, parentOf(path), signal);
		try {
			(await send(target, 'MKCOL', path, { signal })).resume();
		} catch (error) {
			// Another run, or an earlier attempt whose answer was lost, may have made it.
			if (!hasStatus(error, 403, 405, 409) || !(await isFolder(target, path, signal))) throw error;
		}
	}
	target.knownFolders.add(path);
}

/** Fails unless the address itself is there: else everything in it would just seem to be missing. */
export async function assertAddress(target: WebDavTarget, signal?: AbortSignal): Promise<void> {
	if (target.knownFolders.has('')) return;
	if (!(await isFolder(target, '', signal))) throw noSuchAddress(target);
	target.knownFolders.add('');
}

async function isFolder(target: WebDavTarget, path: string, signal?: AbortSignal): Promise<boolean> {
	let entry;
	try {
		entry = await lookUp(target, path.replace(/\/$/, ''), signal);
	} catch (error) {
		// Apache's answer for what would lie in a file.
		if (error instanceof StatusError && error.status === 400) return false;
		throw error;
	}
	if (!entry || entry.isFolder) return entry !== undefined;
	throw new LifeboatError(
		'INVALID_KEY',
		`${path} in ${target.description} cannot be a folder: a file has that name`,
		{
			hint: 'Choose another folder or key',
		},
	);
}

/** The folder that a path lies in. */
export function parentOf(path: string): string {
	const end = path.endsWith('/') ? path.length - 2 : path.length - 1;
	return path.slice(0, path.lastIndexOf('/', end) + 1);
}

function noSuchAddress({ base }: WebDavTarget): LifeboatError {
	return new LifeboatError('STORAGE_FAILED', `There is no WebDAV folder at ${base.origin}${base.pathname}`, {
		hint: 'Check the address; for a Nextcloud it is https://host/remote.php/dav/files/USER. Folders are made below it only',
	});
}
