import { dirname, isAbsolute, join, posix, relative, sep } from 'node:path';

import { LifeboatError } from '../errors';

/** Bytes; PATH_MAX of Linux. Thousands of folders in each other would take long to make and to remove. */
const MAX_NAME = 4096;

const isWindows = process.platform === 'win32';

/** An entry that could do harm. Nothing of such an archive is unpacked. */
export function unsafe(name: string, problem: string, hint?: string): LifeboatError {
	return new LifeboatError(
		'UNSAFE_ENTRY',
		`The archive was not unpacked: ${JSON.stringify(name)} ${problem}`,
		{
			hint:
				hint ??
				'The archive was damaged or made to do harm. Look into it with "tar -tvf" before anything of it is unpacked by hand',
		},
	);
}

/**
 * The name of an entry as a path relative to the target, its parts joined by `/`; empty for the target itself.
 *
 * A backslash is an ordinary character but on Windows, where it separates folders.
 *
 * @throws LifeboatError `UNSAFE_ENTRY` for an absolute name, one with `..` or NUL, and one that is too long.
 */
export function safeName(name: string): string {
	if (Buffer.byteLength(name) > MAX_NAME)
		throw unsafe(`${name.slice(0, 80)}…`, 'has a name longer than any system takes');
	if (name.includes('\0')) throw unsafe(name, 'has a name with a zero byte');
	if (name.startsWith('/')) throw unsafe(name, 'has an absolute name');
	// Drive letters, alternate streams and what Windows can't keep in a name.
	if (isWindows && /[\\:*?"<>|]/.test(name)) throw unsafe(name, 'has a name that Windows does not allow');
	const parts = name.split('/').filter((part) => part !== '' && part !== '.');
	if (parts.includes('..')) throw unsafe(name, 'has a name that leads out of the target folder');
	return parts.join('/');
}

/**
 * Whether a symbolic link stays within the target, wherever other links in it lead.
 *
 * Only `..` at the start of the link's text counts as understood: after a name, which may be a link itself, `..` can lead anywhere.
 *
 * @param name the link's own name, made safe.
 */
export function staysInside(name: string, linkName: string, target: string): boolean {
	if (linkName.includes('\0')) return false;
	const text = isWindows ? linkName.replaceAll('\\', '/') : linkName;
	const parts = text.split('/').filter((part) => part !== '' && part !== '.');
	const ups = parts.findIndex((part) => part !== '..');
	if (ups !== -1 && parts.indexOf('..', ups) !== -1) return false;
	if (isAbsolute(linkName)) return ups === 0 && isWithin(target, linkName);
	const resolved = posix.join(posix.dirname(name), ...parts);
	return resolved !== '..' && !resolved.startsWith('../');
}

/** Whether a path is a folder or lies in it. Both absolute; links are not resolved. */
export function isWithin(folder: string, path: string): boolean {
	const way = relative(folder, path);
	return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/** The deepest folder that holds all the paths, each of which is a folder. */
export function commonFolder(folders: readonly string[]): string {
	let common = folders[0] ?? sep;
	while (!folders.every((folder) => isWithin(common, folder)) && dirname(common) !== common)
		common = dirname(common);
	return common;
}

/** A name in the archive as a path on this machine. */
export function pathIn(folder: string, name: string): string {
	return name === '' ? folder : join(folder, ...name.split('/'));
}
