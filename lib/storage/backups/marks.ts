import { z } from 'zod/v4';

import type { Manifest } from '../../artifact/manifest';
import { LifeboatError } from '../../errors';
import { readText } from '../read-text';
import type { Storage, StoredObject } from '../storage';

import { pinKey, proofKey } from './sidecars';

const MARK_FORMAT_VERSION = 1;

const markOf = {
	formatVersion: z.literal(MARK_FORMAT_VERSION),
	/** The manifest's id: under the same key another backup may lie by now. */
	backupId: z.string().min(1),
};

const pinSchema = z.looseObject({
	...markOf,
	pinnedAt: z.iso.datetime(),
	/** Why it is to stay, in the operator's words. */
	reason: z.string().optional(),
});

const proofSchema = z.looseObject({
	...markOf,
	/** SHA-256 of the stored bytes that were tested, lower-case hexadecimal. */
	storedSha256: z.string().regex(/^[0-9a-f]{64}$/),
	testedAt: z.iso.datetime(),
	passed: z.boolean(),
	/** How it was tested: `PostgreSQL 18 in process`, `temporary folder`. */
	method: z.string(),
	/** Milliseconds from opening the backup to the end of its restore: what a real restore would take at least. */
	recoveryTime: z.number().nonnegative(),
	/** Milliseconds between the data's moment and the test. */
	dataAge: z.number(),
	/** What was compared, one entry a check. */
	checks: z.array(z.looseObject({ name: z.string(), passed: z.boolean(), detail: z.string().optional() })),
	tool: z.looseObject({ name: z.string(), version: z.string() }),
});

/** Says that retention must keep a backup: `<key>.pin.json`. */
export type Pin = z.infer<typeof pinSchema>;

/** What a restore test of a backup found: `<key>.proof.json`. */
export type Proof = z.infer<typeof proofSchema>;

/** What was said of a backup after it was stored. Its manifest never changes: it may be locked. */
export interface Marks {
	/** Whether the file is there. One that can't be read, or speaks of another backup, pins all the same. */
	pinned: boolean;
	pin?: Pin;
	/** Only if it can be read and speaks of just these stored bytes. */
	proof?: Proof;
}

/** Bytes: such files hold a page of text. */
const MAX_SIZE = 1024 * 1024;

/** Reads the marks of a backup, as far as their files are there. A failure of the storage throws; a damaged file doesn't. */
export async function readMarks(
	storage: Storage,
	key: string,
	files: { pin?: StoredObject | undefined; proof?: StoredObject | undefined },
	manifest: Manifest | undefined,
	signal?: AbortSignal,
): Promise<Marks> {
	const [pin, proof] = await Promise.all([
		files.pin && readMark(storage, pinKey(key), pinSchema, signal),
		files.proof && readMark(storage, proofKey(key), proofSchema, signal),
	]);
	const { id, stored } = manifest ?? {};
	return {
		pinned: files.pin !== undefined,
		...(pin && pin.backupId === id && { pin }),
		...(proof && proof.backupId === id && proof.storedSha256 === stored?.sha256 && { proof }),
	};
}

async function readMark<Schema extends z.ZodType>(
	storage: Storage,
	key: string,
	schema: Schema,
	signal?: AbortSignal,
): Promise<z.infer<Schema> | undefined> {
	try {
		return schema.parse(JSON.parse(await readText(storage, key, MAX_SIZE, { signal })));
	} catch (error) {
		const isDamage = error instanceof SyntaxError || error instanceof z.ZodError;
		const code = error instanceof LifeboatError ? error.code : '';
		if (isDamage || ['NOT_FOUND', 'TOO_LARGE', 'NOT_TEXT'].includes(code)) return undefined;
		throw error;
	}
}

/** The text of a mark's file. */
export function serializeMark(mark: Omit<Pin, 'formatVersion'> | Omit<Proof, 'formatVersion'>): string {
	return `${JSON.stringify({ formatVersion: MARK_FORMAT_VERSION, ...mark }, null, 2)}\n`;
}
