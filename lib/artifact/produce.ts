import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';

import { chain } from '../streams/chain';
import { DigestStream } from '../streams/digest';
import { version } from '../../package.json';

import type { Artifact } from './artifact';
import { MANIFEST_FORMAT_VERSION, type Manifest, type ManifestDraft } from './manifest';
import { restoreCommands } from './restore-commands';

/** Fields that only the end of production tells (such as row counts). */
export type ManifestFindings = Partial<Pick<Manifest, 'tables' | 'sequences' | 'source' | 'entries'>>;

/** Content being produced. */
export interface Production {
	readonly stream: Readable;
	/** Called after the stream ended. @throws LifeboatError `INCOMPLETE` unless the source said that it is whole. */
	finish(): Promise<ManifestFindings>;
}

/** What a producer (a dump, an archive) says before it starts. */
export type NewBackup = Pick<ManifestDraft, 'name' | 'kind' | 'format' | 'source'> & {
	/** When the backup begins. */
	now: Date;
	/** With its dot: `.sql`, `.tar`. */
	extension: string;
	entries?: Manifest['entries'];
};

/** An artifact whose bytes `start` makes, each time it is opened. The clock tells when the last byte was there. */
export function produceArtifact(
	backup: NewBackup,
	start: (signal?: AbortSignal) => Promise<Production>,
	clock: () => Date = () => new Date(),
): Artifact {
	const { now, extension, ...known } = backup;
	const draft: ManifestDraft = {
		formatVersion: MANIFEST_FORMAT_VERSION,
		id: randomUUID(),
		...known,
		fileName: backupFileName(backup.name, now, extension),
		createdAt: now.toISOString(),
		transformations: [],
		tool: { name: 'n8n-nodes-lifeboat', version },
	};
	return {
		draft,
		async open(signal) {
			const production = await start(signal);
			const digest = new DigestStream();
			return {
				stream: chain(production.stream, [digest], signal),
				async finish() {
					const bytes = digest.digest();
					const findings = await production.finish();
					const manifest = {
						...draft,
						...findings,
						completedAt: clock().toISOString(),
						content: bytes,
						stored: bytes,
					};
					return { ...manifest, restoreCommands: restoreCommands(manifest) };
				},
			};
		},
	};
}

/** `shop-20261121T020000Z.sql`: sorts by time, and is safe on every file system and in every URL. */
export function backupFileName(name: string, time: Date, extension: string): string {
	const stamp = time
		.toISOString()
		.replace(/\.\d+Z$/, 'Z')
		.replaceAll(/[-:]/g, '');
	const safe = name
		.normalize('NFC')
		.replaceAll(/[^\p{L}\p{N}._-]+/gu, '-')
		.replaceAll(/^[.-]+|-+$/g, '');
	return `${safe || 'backup'}-${stamp}${extension}`;
}
