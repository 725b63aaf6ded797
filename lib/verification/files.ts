import type { Readable } from 'node:stream';

import { listArchive } from '../archive/extract';
import { safeName } from '../archive/safe-name';
import type { Manifest } from '../artifact/manifest';
import { LifeboatError } from '../errors';

/** An archive of files: its end is there, every header is valid and names a place inside a target, and no entry is missing. */
export async function proveArchive(stream: Readable, { fileName, source }: Manifest): Promise<string[]> {
	const found = { files: 0, folders: 0, links: 0 };
	for await (const { type, name } of listArchive(stream)) {
		safeName(name);
		if (type === 'file' || type === 'hardlink') found.files += 1;
		else if (type === 'folder') found.folders += 1;
		else if (type === 'symlink') found.links += 1;
	}
	const counted =
		source.type === 'files'
			? { files: source.fileCount, folders: source.folderCount, links: source.linkCount }
			: {};
	for (const [what, expected] of Object.entries(counted)) {
		const actual = found[what as keyof typeof found];
		if (expected === undefined || expected === actual) continue;
		throw new LifeboatError(
			'ENTRY_COUNT_MISMATCH',
			`${fileName} holds ${actual} ${what}, but ${expected} were backed up`,
			{ hint: 'Do not use this copy. Take the same backup from another destination, or an older one' },
		);
	}
	const holds = `${found.files} files, ${found.folders} folders and ${found.links} links`;
	const isCompared = counted.files !== undefined;
	const whole = `The archive has its end, every header is valid, and it holds ${isCompared ? 'all ' : ''}${holds}`;
	return [whole, ...leftOut(source)];
}

/** What nobody excluded, and yet is not in an archive or is of no single moment: no check of it can find that. */
export function leftOut(source: Manifest['source']): string[] {
	if (source.type !== 'files') return [];
	const { skipped = [], skippedCount = 0, changed = [], changedCount = 0 } = source;
	const [first] = skipped;
	const what = first ? `, such as ${first.path} (${first.reason})` : '';
	return [
		...(skippedCount > 0 ? [`Left out when it was made: ${skippedCount}${what}`] : []),
		...(changedCount > 0
			? [
					`Written to while they were read: ${changedCount}${changed.length > 0 ? `, such as ${changed[0]}` : ''}`,
				]
			: []),
	];
}
