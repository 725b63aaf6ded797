import { realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join, posix, resolve, sep } from 'node:path';

import { codeOf } from '../../lib/errors';

/** n8n's default for N8N_BLOCK_FILE_PATTERNS. */
const BLOCKED_PATTERNS = '^(?:[^/]*/)*\\.git(?:/.*)?$';

/** n8n's default for N8N_RESTRICT_FILE_ACCESS_TO. */
const ALLOWED = '~/.n8n-files';

const list = (text: string | undefined, separator = ';'): string[] =>
	(text ?? '')
		.split(separator)
		.map((each) => each.trim())
		.filter((each) => each !== '');

const contains = (folder: string, path: string): boolean =>
	resolve(path) === resolve(folder) || resolve(path).startsWith(resolve(folder) + sep);

/** As n8n's helper of this name: links resolved; the last part of the path need not exist. */
export async function resolvePath(path: string): Promise<string> {
	try {
		return await realpath(path);
	} catch (error) {
		if (codeOf(error) !== 'ENOENT') throw error;
		return join(await realpath(dirname(path)), basename(path));
	}
}

/** n8n's own files: its folder, what is cached for browsers, and what settings name. */
function ownPaths(): string[] {
	const { env } = process;
	const home = env.N8N_USER_FOLDER ?? homedir();
	return [
		join(home, '.n8n'),
		join(home, '.cache/n8n/public'),
		...list(env.N8N_CONFIG_FILES, ','),
		...list(env.N8N_CUSTOM_EXTENSIONS),
		...list(env.N8N_BINARY_DATA_STORAGE_PATH),
		...list(env.N8N_UM_EMAIL_TEMPLATES_INVITE),
		...list(env.N8N_UM_EMAIL_TEMPLATES_PWRESET),
	];
}

/**
 * As n8n's helper of this name (n8n-core, file-system-helper-functions), for contexts to which n8n gives none: polling triggers. It
 * reads the same environment variables; a test holds both against each other.
 *
 * @param path with its links resolved.
 */
export function isFilePathBlocked(path: string): boolean {
	const { env } = process;
	const protectsOwn = env.N8N_BLOCK_FILE_ACCESS_TO_N8N_FILES !== 'false';
	if (protectsOwn && ownPaths().some((own) => contains(own, path))) return true;

	const normalized = posix.normalize(path.replaceAll('\\', '/'));
	const isPattern = list(env.N8N_BLOCK_FILE_PATTERNS ?? BLOCKED_PATTERNS).some((pattern) => {
		try {
			return new RegExp(pattern, 'mi').test(normalized);
		} catch {
			// A pattern that can't be read blocks everything, as in n8n: it was meant to block something.
			return true;
		}
	});
	if (isPattern) return true;

	const setting = env.N8N_RESTRICT_FILE_ACCESS_TO ?? ALLOWED;
	const allowed = list(setting).map((folder) =>
		folder.startsWith('~') ? folder.replace('~', homedir()) : folder,
	);
	return allowed.length > 0 && !allowed.some((folder) => contains(folder, path));
}
