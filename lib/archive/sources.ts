import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { dirname, isAbsolute, normalize, resolve, sep } from 'node:path';

import { codeOf, LifeboatError } from '../errors';
import { systemMessage } from '../streams/atomic-file';

import { exclusionMatcher, globBase, globMatcher, type Matcher } from './globs';
import { commonFolder, isWithin } from './safe-name';

/** A path or glob that the operator named. */
export interface Source {
	/** As it was given. */
	given: string;
	/** Where the walk starts: the path itself, or the folder that holds a glob's matches. */
	start: string;
	/** The folder that names in the archive would be relative to if this were the only source. */
	parent: string;
	/** For a glob: what is taken. All that lies in a folder which matches is. */
	matches?: Matcher;
	/** For a glob: how many levels below `start` a match can be. */
	depth: number;
}

/** What goes into an archive, and how it is named there. */
export interface Selection {
	/** In the order of their paths. */
	sources: readonly Source[];
	baseFolder: string;
	isExcluded: Matcher;
	isHidden: (name: string) => boolean;
}

export interface SelectionOptions {
	paths: readonly string[];
	exclude?: readonly string[];
	baseFolder?: string;
	includeFolderName?: boolean;
	includeHidden?: boolean;
}

/**
 * Finds out what the operator's paths mean.
 *
 * A path that exists is that path, whatever characters it has; otherwise it is a glob if it can be one.
 *
 * @throws LifeboatError `NOT_FOUND`, `INVALID_PATH`, `INVALID_OPTION` or `READ_FAILED`.
 */
export async function selectSources(options: SelectionOptions): Promise<Selection> {
	if (options.paths.length === 0) {
		throw new LifeboatError('NOTHING_TO_ARCHIVE', 'No path was given to archive', {
			hint: 'Name at least one file, folder or glob',
		});
	}
	const sources: Source[] = [];
	const { includeFolderName = true } = options;
	for (const path of options.paths) sources.push(await sourceOf(path, includeFolderName));
	sources.sort((a, b) => compareNames(a.start, b.start));
	const common = commonFolder(sources.map(({ parent }) => parent));
	const baseFolder = options.baseFolder === undefined ? common : resolve(options.baseFolder);
	for (const { start, given } of sources) {
		if (isWithin(baseFolder, start)) continue;
		throw new LifeboatError('INVALID_OPTION', `${given} does not lie in the base folder ${baseFolder}`, {
			hint: 'Choose a base folder that holds all paths, or leave it empty',
		});
	}
	const { includeHidden = true } = options;
	return {
		sources,
		baseFolder,
		isExcluded: exclusionMatcher(options.exclude ?? []),
		isHidden: (name) => !includeHidden && name.startsWith('.'),
	};
}

/** Orders names by their characters, the same on every machine and in every language. */
export function compareNames(a: string, b: string): number {
	return a < b ? -1 : a > b ? 1 : 0;
}

async function sourceOf(given: string, includeFolderName: boolean): Promise<Source> {
	if (!isAbsolute(given)) {
		throw new LifeboatError('INVALID_PATH', `The path ${given} is not absolute`, {
			hint: 'Give the whole path, starting at the root folder',
		});
	}
	if (given.includes('\0')) {
		throw new LifeboatError('INVALID_PATH', 'A path holds a zero byte', { hint: 'Give a path without it' });
	}
	const path = withoutTrailingSlash(normalize(given));
	const found = await statsOf(path);
	if (found) {
		const isOwnParent = found.isDirectory() && !includeFolderName;
		return { given, start: path, parent: isOwnParent ? path : dirname(path), depth: Infinity };
	}
	const glob = globBase(given);
	const notFound = (missing: string) =>
		new LifeboatError('NOT_FOUND', `${missing} does not exist`, {
			hint: `Check the path${missing === given ? '' : ` ${given}`}. If it is on a disk of its own, check that it is mounted (into the container, too)`,
		});
	if (!glob) throw notFound(given);
	const start = withoutTrailingSlash(normalize(glob.base));
	if (!(await statsOf(start))) throw notFound(start);
	return { given, start, parent: start, matches: globMatcher(given), depth: glob.depth };
}

async function statsOf(path: string): Promise<Stats | undefined> {
	try {
		return await lstat(path);
	} catch (error) {
		if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(codeOf(error) ?? '')) return undefined;
		throw new LifeboatError('READ_FAILED', `${path} could not be read: ${systemMessage(error)}`, {
			hint: 'Check that the user n8n runs as may read it',
			cause: error,
		});
	}
}

function withoutTrailingSlash(path: string): string {
	return path.length > 1 && path.endsWith(sep) ? path.slice(0, -1) : path;
}
