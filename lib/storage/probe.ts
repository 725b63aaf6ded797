import { randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import { codeOf, LifeboatError, messageOf } from '../errors';

import type { Storage } from './storage';

/** Bytes. */
const SIZE = 64 * 1024;

/** What a storage is to do for backups, in the order in which it is tried. */
export const probeSteps = [
	'write',
	'readBack',
	'readPart',
	'list',
	'refuseOverwrite',
	'replace',
	'listUnfinished',
	'delete',
] as const;

export type ProbeStep = (typeof probeSteps)[number];

/** How one step ended. What wasn't tried, because an earlier one failed or the storage has no such thing, has no entry. */
export interface ProbeOutcome {
	ok: boolean;
	milliseconds: number;
	/** Why not, and what to do. */
	problem?: string;
	hint?: string;
}

export interface ProbeResult {
	storage: string;
	/** The probe's key. */
	key: string;
	/** Whether all that was tried succeeded. */
	ok: boolean;
	steps: Partial<Record<ProbeStep, ProbeOutcome>>;
	/** Where the storage tells. */
	freeBytes?: number;
}

/**
 * Writes, reads, lists, tries to overwrite, replaces and deletes a small object, and tells of each whether it works. Only an
 * abort throws. The probe is deleted whatever happens in between.
 *
 * @param prefix the folder to try it in, ending in `/` unless it is empty.
 */
export async function probeStorage(
	storage: Storage,
	prefix: string,
	signal?: AbortSignal,
): Promise<ProbeResult> {
	const key = `${prefix}lifeboat-probe-${randomUUID()}.tmp`;
	const content = randomBytes(SIZE);
	const steps: ProbeResult['steps'] = {};
	const attempt = async (step: ProbeStep, run: () => Promise<void>): Promise<boolean> => {
		const start = performance.now();
		const outcome = await run().then(
			() => ({ ok: true }),
			(error: unknown) => {
				signal?.throwIfAborted();
				const hint = error instanceof LifeboatError ? error.hint : undefined;
				return { ok: false, problem: messageOf(error), ...(hint !== undefined && { hint }) };
			},
		);
		steps[step] = { ...outcome, milliseconds: Math.round(performance.now() - start) };
		return outcome.ok;
	};
	const put = async (bytes: Buffer, ifExists: 'fail' | 'replace', stop?: AbortSignal) => {
		const source = Readable.from([bytes], { objectMode: false });
		await storage.put(key, source, { size: SIZE, ifExists, role: 'mark', signal: stop });
	};
	const remove = async () => {
		await storage.delete(key);
		if (await storage.stat(key)) throw failed('is still there after it was deleted');
	};

	try {
		if (await attempt('write', () => put(content, 'fail', signal))) {
			await attempt('readBack', async () => {
				const found = await buffer(await storage.get(key, { signal }));
				if (!found.equals(content)) throw failed('came back with other bytes');
			});
			await attempt('readPart', async () => {
				const part = await buffer(await storage.get(key, { range: { start: 100, end: 299 }, signal }));
				if (!part.equals(content.subarray(100, 300))) throw failed('came back with other bytes');
			});
			await attempt('list', async () => {
				for await (const object of storage.list(key, signal)) if (object.key === key) return;
				throw failed('is not listed');
			});
			await attempt('refuseOverwrite', () => expectRefusal(put(randomBytes(SIZE), 'fail', signal)));
			await attempt('replace', async () => {
				const other = randomBytes(SIZE);
				await put(other, 'replace', signal);
				const found = await buffer(await storage.get(key, { signal }));
				if (!found.equals(other)) throw failed('was not replaced');
			});
			await attempt('listUnfinished', async () => {
				for await (const upload of storage.unfinished(prefix, signal)) void upload;
			});
		}
	} finally {
		// Also after an abort, and after a write that failed: what it left must not stay.
		if (steps.write?.ok) await attempt('delete', remove);
		else await storage.delete(key).catch(() => {});
	}
	const space = await storage.space?.(signal).catch(() => undefined);
	return {
		...{ storage: storage.description, key, steps },
		ok: Object.values(steps).every((step) => step.ok),
		...(space && { freeBytes: space.freeBytes }),
	};
}

async function expectRefusal(put: Promise<void>): Promise<void> {
	try {
		await put;
	} catch (error) {
		if (codeOf(error) === 'ALREADY_EXISTS') return;
		throw error;
	}
	throw failed('was overwritten although it should not have been');
}

const failed = (what: string) =>
	new LifeboatError('PROBE_FAILED', `The probe ${what}`, {
		hint: 'Do not rely on this storage before that is understood',
	});
