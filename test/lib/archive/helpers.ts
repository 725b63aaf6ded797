import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { packFiles, type PackOptions } from '../../../lib/archive/pack';
import type { Artifact } from '../../../lib/artifact/artifact';
import { storedArtifact } from '../../../lib/artifact/file-artifact';
import type { FilesSource, Manifest, TableRows } from '../../../lib/artifact/manifest';
import { produceArtifact } from '../../../lib/artifact/produce';
import { LifeboatError } from '../../../lib/errors';
import { runCommand } from '../../servers/process';
import { systemErrorCode } from '../../system-error-code';

export const now = new Date('2026-11-21T02:00:00Z');

/** Runs something in a folder of its own, which is removed afterwards whatever permissions it has got. */
export async function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-archive-'));
	try {
		return await run(folder);
	} finally {
		// An ordinary user must open a closed folder before it can be emptied.
		await runCommand('chmod', ['-R', 'u+rwX', folder]);
		await rm(folder, { recursive: true, force: true });
	}
}

export async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
	const chunks: Buffer[] = [];
	for await (const chunk of stream) chunks.push(chunk);
	return Buffer.concat(chunks);
}

/** Packs, and returns the whole archive with its manifest. */
export async function pack(
	options: Omit<PackOptions, 'name' | 'now'>,
): Promise<{ bytes: Buffer; manifest: Manifest; source: FilesSource }> {
	const opened = await packFiles({ name: 'test', now, ...options }).open();
	const bytes = await collect(opened.stream);
	const manifest = await opened.finish();
	const { source } = manifest;
	if (source.type !== 'files') throw new Error(`the source is ${source.type}`);
	return { bytes, manifest, source };
}

/** As a stream, in chunks of the given size. */
export function streamOf(bytes: Buffer, chunkSize = 64 * 1024): Readable {
	function* chunks() {
		for (let start = 0; start < bytes.length; start += chunkSize)
			yield bytes.subarray(start, start + chunkSize);
	}
	return Readable.from(chunks(), { objectMode: false });
}

/** What an archive should keep of a file, link or folder. */
export interface Kept {
	/** Kind, permissions, owner, content. */
	text: string;
	/** Nanoseconds. */
	time: bigint;
}

/** What lies in a folder, by path. */
export async function describeTree(root: string): Promise<Record<string, Kept>> {
	const found: Record<string, Kept> = {};
	const names = new Map<string, string>();
	async function visit(path: string, name: string): Promise<void> {
		const stats = await lstat(path, { bigint: true });
		const mode = (Number(stats.mode) & 0o7777).toString(8);
		const owner = `${stats.uid}:${stats.gid}`;
		const keep = (text: string) => (found[name] = { text: `${text} ${owner}`, time: stats.mtimeNs });
		if (stats.isSymbolicLink()) keep(`link to ${await readlink(path)}`);
		else if (stats.isDirectory()) {
			keep(`folder ${mode}`);
			for (const child of (await readdir(path)).sort()) await visit(join(path, child), `${name}/${child}`);
		} else if (stats.isFile()) {
			const hash = createHash('sha256');
			await pipeline(createReadStream(path), hash);
			const inode = `${stats.dev}:${stats.ino}`;
			const first = names.get(inode) ?? name;
			names.set(inode, first);
			const same = first === name ? '' : ` also ${first}`;
			keep(`file ${mode} ${stats.size} ${hash.digest('hex')}${same}`);
		} else keep('special');
	}
	for (const child of (await readdir(root)).sort()) await visit(join(root, child), child);
	return found;
}

/** @param precision nanoseconds by which times may differ: node's utimes takes seconds as a double. */
export function assertSameTree(
	actual: Readonly<Record<string, Kept>>,
	expected: Readonly<Record<string, Kept>>,
	precision = 1000n,
): void {
	const texts = (tree: Readonly<Record<string, Kept>>) =>
		Object.fromEntries(Object.entries(tree).map(([path, { text }]) => [path, text]));
	assert.deepEqual(texts(actual), texts(expected));
	for (const [path, { time }] of Object.entries(actual)) {
		const difference = time - expected[path]!.time;
		assert.ok(
			difference <= precision && -difference <= precision,
			`${path}: ${time}, not ${expected[path]!.time}`,
		);
	}
}

/** For `assert.rejects`: a LifeboatError with this code, a message that matches, a hint, and no system code in either. */
export function failsWith(code: string, message = /./): (error: unknown) => true {
	return (error) => {
		assert.ok(
			error instanceof LifeboatError,
			`not a LifeboatError: ${error instanceof Error ? error.stack : String(error)}`,
		);
		assert.equal(error.code, code, error.message);
		assert.match(error.message, message);
		assert.ok(error.hint);
		assert.doesNotMatch(error.message + error.hint, /undefined/);
		assert.doesNotMatch(error.message + error.hint, systemErrorCode);
		return true;
	};
}

/** Bytes that look random and are the same in each run. */
export function sampleBytes(size: number, seed = 'sample'): Buffer {
	const key = createHash('sha256').update(seed).digest();
	return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

/** An artifact that is known, as staged and stored ones are, of bytes at hand. */
export async function known(artifact: Artifact): Promise<Artifact & { manifest: Manifest; bytes: Buffer }> {
	const opened = await artifact.open();
	const bytes = await collect(opened.stream);
	return withBytes(await opened.finish(), bytes);
}

/** What the manifest describes, but of these bytes. */
export function withBytes(
	manifest: Manifest,
	bytes: Buffer,
): Artifact & { manifest: Manifest; bytes: Buffer } {
	return { ...storedArtifact(manifest, async () => streamOf(bytes)), bytes };
}

/** A backup of a database, as far as a manifest goes, whose dump is this text. */
export async function dumpOf(
	text: string | Buffer,
	{ tables, name = 'shop' }: { tables?: TableRows[]; name?: string } = {},
): Promise<Artifact & { manifest: Manifest; bytes: Buffer }> {
	const source = {
		type: 'database',
		engine: 'postgresql',
		serverVersion: '17.10',
		database: 'shop',
	} as const;
	const artifact = produceArtifact(
		{ name, kind: 'database', format: 'plain-sql', source, now, extension: '.sql' },
		async () => ({ stream: streamOf(Buffer.from(text)), finish: async () => (tables ? { tables } : {}) }),
	);
	return await known(artifact);
}
