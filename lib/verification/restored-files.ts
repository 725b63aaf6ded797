import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, mkdtemp, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

import { extractFiles } from '../archive/extract';
import { safeName } from '../archive/safe-name';
import { readTar, type TarEntry } from '../archive/tar-reader';
import type { Manifest } from '../artifact/manifest';
import type { RestoreTestFindings } from '../databases/scratch';
import { codeOf } from '../errors';

import { leftOut } from './files';

const MOST_NAMED = 5;

/**
 * Unpacks an archive into a new folder, compares every file there with the archive by its SHA-256, every link by where it leads, and
 * removes all of it.
 *
 * @param open opens the content from its start; it is read twice.
 * @param folder where the new one is made. Links that lead out of it are created and never followed.
 * @throws LifeboatError as `extractFiles`.
 */
export async function testFiles(
	open: (signal?: AbortSignal) => Promise<Readable>,
	manifest: Pick<Manifest, 'content' | 'source'>,
	folder: string,
	signal?: AbortSignal,
): Promise<RestoreTestFindings> {
	const scratch = await mkdtemp(join(folder, 'restore-test-'));
	try {
		const started = performance.now();
		const report = await extractFiles(await open(signal), scratch, {
			outsideLinks: 'keep',
			expectedBytes: manifest.content.size,
			...(signal && { signal }),
		});
		const recoveryTime = Math.round(performance.now() - started);
		const found = await compareWithArchive(await open(signal), scratch);
		const { source } = manifest;
		const counted = source.type === 'files' ? source.fileCount : undefined;
		const wrong = [...found.wrong];
		if (counted !== undefined && counted !== found.files)
			wrong.push(`there are ${found.files} files, ${counted} were backed up`);
		const more = wrong.length > MOST_NAMED ? `; and ${wrong.length - MOST_NAMED} more` : '';
		const detail =
			wrong.length === 0
				? `${found.files} files, ${report.folders} folders and ${report.links} links are there, each file with the SHA-256 it has in the backup`
				: wrong.slice(0, MOST_NAMED).join('; ') + more;
		return {
			method: 'temporary folder',
			recoveryTime,
			checks: [{ name: 'Files', passed: wrong.length === 0, detail }],
			warnings: [
				...leftOut(source),
				...report.skipped.slice(0, MOST_NAMED).map(({ path, reason }) => `${path}: ${reason}`),
			],
		};
	} finally {
		await rm(scratch, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
	}
}

async function compareWithArchive(
	source: Readable,
	folder: string,
): Promise<{ files: number; wrong: string[] }> {
	const wrong: string[] = [];
	let files = 0;
	try {
		for await (const entry of readTar(source)) {
			const { type, name } = entry.header;
			if (type === 'file' || type === 'hardlink') files += 1;
			const problem = await compareEntry(entry, folder);
			// A count goes on after the first thousand, a list in memory does not.
			if (problem !== undefined && wrong.length < 1000) wrong.push(`${name} ${problem}`);
		}
	} finally {
		source.destroy();
	}
	return { files, wrong };
}

/** What is wrong with what was restored of an entry, if anything. */
async function compareEntry({ header, body }: TarEntry, folder: string): Promise<string | undefined> {
	const path = join(folder, safeName(header.name));
	try {
		const there = await lstat(path);
		switch (header.type) {
			case 'file': {
				const expected = await sha256(body);
				if (!there.isFile()) return 'is no file';
				if (there.size !== header.size) return `has ${there.size} bytes instead of ${header.size}`;
				return (await sha256(createReadStream(path))) === expected ? undefined : 'has other content';
			}
			case 'hardlink': {
				const other = join(folder, safeName(header.linkName));
				const { ino, dev } = await lstat(other);
				if (there.isSymbolicLink())
					return (await readlink(path)) === (await readlink(other)) ? undefined : 'leads elsewhere';
				if (!there.isFile()) return 'is no file';
				if (there.ino === ino && there.dev === dev) return undefined;
				// Where there are no hard links, it is a copy.
				const [own, first] = [await sha256(createReadStream(path)), await sha256(createReadStream(other))];
				return own === first ? undefined : `has other content than ${header.linkName}`;
			}
			case 'folder':
				return there.isDirectory() ? undefined : 'is no folder';
			case 'symlink':
				if (!there.isSymbolicLink()) return 'is no link';
				return (await readlink(path)) === header.linkName ? undefined : 'leads elsewhere';
			case 'device':
			case 'fifo':
				// The unpacking has refused them.
				return undefined;
		}
	} catch (error) {
		if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return 'is missing';
		throw error;
	}
}

async function sha256(bytes: AsyncIterable<Buffer>): Promise<string> {
	const hash = createHash('sha256');
	for await (const chunk of bytes) hash.update(chunk);
	return hash.digest('hex');
}
