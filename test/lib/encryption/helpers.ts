import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import { Readable, type Duplex } from 'node:stream';

import type { EncryptionTransformation } from '../../../lib/artifact/manifest';
import type { Encoding } from '../../../lib/artifact/transform';
import { LifeboatError } from '../../../lib/errors';
import { chain } from '../../../lib/streams/chain';

/** Bytes that look random and are the same in each run. */
export function sampleBytes(size: number, seed = 'sample'): Buffer {
	const blocks: Buffer[] = [];
	for (let made = 0, block = 0; made < size; block++) {
		const bytes = createHash('sha512').update(`${seed} ${block}`).digest();
		blocks.push(bytes);
		made += bytes.length;
	}
	return Buffer.concat(blocks).subarray(0, size);
}

/** What came out of a transform before it ended or failed. */
export interface Outcome {
	released: Buffer;
	error: unknown;
}

/** Sends bytes through a transform, in the given pieces. */
export async function attempt(transform: Duplex, input: Buffer | readonly Buffer[]): Promise<Outcome> {
	const released: Buffer[] = [];
	const stream = chain(Readable.from(Buffer.isBuffer(input) ? [input] : input), [transform]);
	// Listening instead of iterating: what was released just before a failure counts too.
	stream.on('data', (data: Buffer) => released.push(data));
	const error = await new Promise<unknown>((resolve) => {
		stream.on('end', () => resolve(undefined));
		stream.on('error', resolve);
	});
	return { released: Buffer.concat(released), error };
}

/** The same, for what must succeed. */
export async function transformed(transform: Duplex, input: Buffer | readonly Buffer[]): Promise<Buffer> {
	const { released, error } = await attempt(transform, input);
	if (error !== undefined) throw error as Error;
	return released;
}

/** Cuts bytes at the given places. */
export function pieces(data: Buffer, cuts: readonly number[]): Buffer[] {
	const places = [0, ...cuts.map((cut) => cut % (data.length + 1)).sort((a, b) => a - b), data.length];
	return places.slice(1).map((end, index) => data.subarray(places[index], end));
}

export function transformationOf(encoding: Encoding): EncryptionTransformation {
	assert.equal(encoding.transformation.type, 'encryption');
	return encoding.transformation;
}

export function assertLifeboatError(error: unknown, ...codes: string[]): asserts error is LifeboatError {
	assert.ok(error instanceof LifeboatError, `not a LifeboatError: ${String(error)}`);
	assert.ok(codes.includes(error.code), `${error.code} is none of ${codes.join(', ')}: ${error.message}`);
	assert.ok(error.message.length > 0 && !error.message.includes('undefined'), error.message);
	assert.ok(error.hint, `${error.code} has no hint`);
}

/** Counts the keys that are begun to be derived from passphrases, in all this process. */
export class DerivationCounter {
	count = 0;

	private readonly hook = createHook({
		init: (_, type) => {
			if (type === 'SCRYPTREQUEST' || type === 'PBKDF2REQUEST') this.count += 1;
		},
	}).enable();

	stop(): void {
		this.hook.disable();
	}
}

/** Everything an error could tell somebody: message, hint, stack and properties, along its chain of causes. */
export function everythingIn(error: unknown): string {
	const parts: string[] = [];
	for (let at = error; at instanceof Error; at = at.cause) {
		parts.push(String(at), at.stack ?? '', JSON.stringify(at, Object.getOwnPropertyNames(at)));
	}
	return parts.join('\n');
}
