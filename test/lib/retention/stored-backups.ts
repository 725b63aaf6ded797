import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import { serializeManifest, type Manifest } from '../../../lib/artifact/manifest';
import { applyPlan } from '../../../lib/retention/apply';
import { toRetentionBackup } from '../../../lib/retention/backup';
import { planRetention } from '../../../lib/retention/plan';
import { parsePolicy } from '../../../lib/retention/policy';
import {
	assertSameBackup,
	checksumKey,
	deleteBackup,
	listBackups,
	manifestKey,
	sha256Sidecar,
} from '../../../lib/storage/backups';
import { baseName } from '../../../lib/storage/keys';
import type { Storage } from '../../../lib/storage/storage';

/** Stores a small backup of a made-up time, as an upload leaves it. Its id is its key. */
export async function putBackup(
	storage: Pick<Storage, 'put'>,
	key: string,
	createdAt: string,
	fields: Partial<Manifest> = {},
): Promise<void> {
	const content = `content of ${key}`;
	const sha256 = createHash('sha256').update(content).digest('hex');
	const digest = { size: Buffer.byteLength(content), sha256 };
	const manifest: Manifest = {
		...{ formatVersion: 1, id: key, name: 'shop', kind: 'files', format: 'tar', fileName: baseName(key) },
		...{ createdAt, completedAt: createdAt, source: { type: 'files', paths: ['/srv'] }, transformations: [] },
		...{ content: digest, stored: digest, tool: { name: 'n8n-nodes-lifeboat', version: '0.1.0' } },
		...{ restoreCommands: [], ...fields },
	};
	const put = async (name: string, text: string) => {
		await storage.put(name, Readable.from([Buffer.from(text)]));
	};
	await put(key, content);
	await put(checksumKey(key), sha256Sidecar(baseName(key), sha256));
	await put(manifestKey(key), serializeManifest(manifest));
}

/** Lists, plans and deletes, on 21 November 2026. Returns the keys of the deleted backups. */
export async function retain(
	storage: Storage,
	policy: string,
	beforeDeletion: () => Promise<void> = async () => {},
): Promise<string[]> {
	const backups = [];
	for await (const stored of listBackups(storage)) backups.push(toRetentionBackup(stored));
	const plan = planRetention(backups, parsePolicy(JSON.parse(policy)), {
		now: new Date('2026-11-21T12:00:00Z'),
	});
	await beforeDeletion();
	const removed: string[] = [];
	const remove: Parameters<typeof applyPlan>[1] = async (key, signal, id) => {
		await assertSameBackup(storage, key, id, signal);
		await deleteBackup(storage, key, signal);
	};
	for await (const { decision, deleted, error } of applyPlan(plan, remove)) {
		if (error) throw error as Error;
		if (deleted) removed.push(decision.key);
	}
	return removed;
}
