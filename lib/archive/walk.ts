import { isUtf8 } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';

import { LifeboatError } from '../errors';
import { TEMPORARY_PREFIX } from '../streams/atomic-file';

import { isWithin } from './safe-name';
import { compareNames, type Selection, type Source } from './sources';

/** Something found that goes into the archive. */
export interface Found {
	path: string;
	/** Relative to the base folder, parts joined by `/`; empty for the base folder itself. */
	name: string;
	stats: BigIntStats;
}

/** What the walk tells besides what it finds. Each may throw to stop it. */
export interface WalkEvents {
	/** Asked before anything is read of a file or folder. */
	assertAllowed: (path: string) => Promise<void>;
	/** Something can't be read, or no archive can hold it. */
	onUnreadable: (path: string, error: unknown) => void;
	/** Something was there a moment ago. */
	onVanished: (path: string) => void;
	/** Left out whatever the options say. */
	onSkipped: (path: string, reason: string) => void;
}

/**
 * Walks over what was selected: each folder before what it holds, names in order, nothing twice, links not followed. Memory grows
 * with the depth and the widest folder, not with the number of files.
 *
 * @throws LifeboatError `NOTHING_TO_ARCHIVE` if a glob matches nothing; what the events throw.
 */
export async function* walk(
	selection: Selection,
	events: WalkEvents,
): AsyncGenerator<Found, void, undefined> {
	for (const [index, source] of selection.sources.entries()) {
		const earlier = selection.sources.slice(0, index);
		yield* walkSource(source, selection, events, (path) =>
			earlier.some((one) => takes(one, path, selection)),
		);
	}
}

async function* walkSource(
	source: Source,
	selection: Selection,
	events: WalkEvents,
	isTaken: (path: string) => boolean,
): AsyncGenerator<Found, void, undefined> {
	let matched = false;
	const { matches } = source;

	async function* visit(
		path: string,
		depth: number,
		isInside: boolean,
	): AsyncGenerator<Found, void, undefined> {
		if (selection.isExcluded(path)) return;
		if (basename(path).startsWith(TEMPORARY_PREFIX)) {
			return events.onSkipped(path, 'a temporary file of Lifeboat, of this run or one that was interrupted');
		}
		const isWanted = isInside || !matches || (path !== source.start && matches(path));
		// Permission to read is asked for what is read: the text of a link lies in its folder, which was asked for.
		const stats = await look(path, events);
		if (!stats) return;
		const isFolder = stats.isDirectory();
		if (!stats.isSymbolicLink() && (isWanted || isFolder)) await events.assertAllowed(path);
		if (isWanted) {
			matched = true;
			if (!isTaken(path)) yield { path, name: nameOf(path, selection.baseFolder), stats };
		}
		if (!isFolder || (!isWanted && depth >= source.depth)) return;
		for (const name of await namesIn(path, events)) {
			if (!selection.isHidden(name)) yield* visit(join(path, name), depth + 1, isWanted);
		}
	}

	yield* visit(source.start, 0, false);
	if (!matched && matches) {
		throw new LifeboatError('NOTHING_TO_ARCHIVE', `Nothing matches ${source.given}`, {
			hint: 'Correct or remove this glob. If its folder is on a disk of its own, check that it is mounted',
		});
	}
}

/** Whether a source's own walk comes by a path. The path exists, and is not excluded. */
function takes(source: Source, path: string, selection: Selection): boolean {
	if (!isWithin(source.start, path)) return false;
	const parts = relative(source.start, path).split(sep).filter(Boolean);
	if (parts.some((part) => selection.isHidden(part))) return false;
	const { matches } = source;
	if (!matches) return true;
	return parts.some((_, index) => matches(join(source.start, ...parts.slice(0, index + 1))));
}

function nameOf(path: string, baseFolder: string): string {
	return relative(baseFolder, path).split(sep).join('/');
}

async function look(path: string, events: WalkEvents): Promise<BigIntStats | undefined> {
	try {
		return await lstat(path, { bigint: true });
	} catch (error) {
		return report(path, error, events);
	}
}

async function namesIn(folder: string, events: WalkEvents): Promise<string[]> {
	let raw: Buffer[];
	try {
		raw = await readdir(folder, { encoding: 'buffer' });
	} catch (error) {
		report(folder, error, events);
		return [];
	}
	const names: string[] = [];
	for (const bytes of raw) {
		const name = bytes.toString('utf8');
		if (isUtf8(bytes)) names.push(name);
		else events.onUnreadable(join(folder, name), new Error('its name is not valid UTF-8: rename it'));
	}
	return names.sort(compareNames);
}

function report(path: string, error: unknown, events: WalkEvents): undefined {
	if (isGone(error)) events.onVanished(path);
	else events.onUnreadable(path, error);
}

/** Whether a system error says that a file is not there any more. */
export function isGone(error: unknown): boolean {
	return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
