import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, sep } from 'node:path';

import type { IExecuteFunctions } from 'n8n-workflow';

import { codeOf, LifeboatError } from '../../lib/errors';

/** The folders that n8n's file rules allow; undefined when they allow all. */
function allowedFolders(): string[] | undefined {
	const setting = process.env.N8N_RESTRICT_FILE_ACCESS_TO ?? '~/.n8n-files';
	const folders = setting
		.split(';')
		.map((folder) => folder.trim())
		.filter((folder) => folder !== '')
		.map((folder) => folder.replace(/^~(?=\/|$)/, homedir()));
	return folders.length > 0 ? folders : undefined;
}

/** A folder of this package's own that the file rules allow. */
export function defaultStagingRoot(): string {
	return join(allowedFolders()?.[0] ?? join(homedir(), '.n8n-files'), 'lifeboat-staging');
}

/**
 * Resolves links as n8n does, also where the path, or folders above it, don't exist yet (n8n's own helper needs the parent).
 */
async function resolve(context: IExecuteFunctions, path: string): Promise<string> {
	try {
		return await context.helpers.resolvePath(path);
	} catch (error) {
		if (codeOf(error) !== 'ENOENT' || dirname(path) === path) throw error;
		return join(await resolve(context, dirname(path)), basename(path));
	}
}

/** Throws unless n8n's file rules allow the path. Suits what `lib` calls `assertAllowed`. */
export function fileRules(context: IExecuteFunctions): (path: string) => Promise<void> {
	return async (path) => {
		await resolveAllowed(context, path);
	};
}

/**
 * The path with links resolved, once n8n's file rules allow it.
 *
 * @throws LifeboatError `FILE_ACCESS_DENIED` that names the folders which are allowed, and the setting.
 */
export async function resolveAllowed(context: IExecuteFunctions, path: string): Promise<string> {
	if (!isAbsolute(path)) {
		throw new LifeboatError('INVALID_PATH', `The path "${path}" is not absolute`, {
			hint: 'Give the whole path as n8n sees it (inside its container, if it runs in one), e.g. /data/uploads',
		});
	}
	const resolved = await resolve(context, path);
	const branded = resolved as Parameters<typeof context.helpers.isFilePathBlocked>[0];
	// It was asynchronous in earlier 2.x versions.
	// eslint-disable-next-line @typescript-eslint/await-thenable
	if (await context.helpers.isFilePathBlocked(branded)) {
		const folders = allowedFolders();
		const isWithin = folders?.some((folder) => `${resolved}${sep}`.startsWith(join(folder, sep))) ?? true;
		throw new LifeboatError('FILE_ACCESS_DENIED', `n8n does not allow access to ${path}`, {
			hint: isWithin
				? "It lies in n8n's own data folder or matches N8N_BLOCK_FILE_PATTERNS (.git unless you change it). Leave it out (Exclude: **/.git), choose another folder, or change that setting and restart n8n"
				: `Allowed is what lies in ${folders!.join(', ')}. Add this folder to the environment variable N8N_RESTRICT_FILE_ACCESS_TO (folders separated by ;) and restart n8n`,
		});
	}
	return resolved;
}
