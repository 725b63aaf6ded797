import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { LifeboatError } from '../../../lib/errors';
import { checkBackup } from '../../../lib/verification/outcome';
import type { VerificationLevel } from '../../../lib/verification/report';

import { dumpOf, withBytes } from '../archive/helpers';

import { compressed, decoder, dumpText, forged, tables, type Known } from './samples';

const levels: VerificationLevel[] = ['stored', 'readable', 'complete'];

/** The first level that fails when all up to one are checked, for each of them. */
async function failing(backup: Known): Promise<(string | undefined)[]> {
	const outcomes = await Promise.all(levels.map((level) => checkBackup(backup, level, decoder)));
	return outcomes.map((outcome) => (outcome.passed ? undefined : outcome.level));
}

/** Compressed content that differs from what the manifest says of it, in bytes that are just what the manifest says of them. */
async function rewritten(original: Known, text: string): Promise<Known> {
	const other = await compressed(await dumpOf(text, { tables }));
	return withBytes({ ...other.manifest, content: original.manifest.content }, other.bytes);
}

describe('the level that fails is the first that should', () => {
	test('none, for a backup that is whole', async () => {
		const backup = await compressed(await dumpOf(dumpText, { tables }));
		assert.deepEqual(await failing(backup), [undefined, undefined, undefined]);
		const outcome = await checkBackup(backup, 'complete', decoder);
		assert.equal(outcome.passed && outcome.report.level, 'complete');
	});

	test('stored, when one byte was changed where it lies, also where decompression fails first', async () => {
		const backup = await compressed(await dumpOf(dumpText.repeat(20), { tables }));
		for (let at = 0; at < backup.bytes.length; at += 7) {
			const broken = Buffer.from(backup.bytes);
			broken[at]! ^= 4;
			assert.deepEqual(await failing(withBytes(backup.manifest, broken)), ['stored', 'stored', 'stored']);
		}
	});

	test('readable, when one byte of the content was changed before it was compressed', async () => {
		const backup = await rewritten(await dumpOf(dumpText, { tables }), dumpText.replace('one', 'onf'));
		assert.deepEqual(await failing(backup), [undefined, 'readable', 'readable']);
	});

	for (const [what, change] of [
		['one row was cut', (text: string) => text.replace('1\tone\n', '')],
		['one table was emptied', (text: string) => text.replace(/1\tone[^]*?3\t\\N\n/, '')],
		['the end is missing', (text: string) => text.slice(0, -100)],
	] as const) {
		test(`complete, when ${what} before anything was hashed`, async () => {
			assert.notEqual(change(dumpText), dumpText);
			const backup = await forged(await dumpOf(dumpText, { tables }), Buffer.from(change(dumpText)));
			assert.deepEqual(await failing(backup), [undefined, undefined, 'complete']);
			const outcome = await checkBackup(backup, 'complete', decoder);
			assert.match(outcome.passed ? '' : outcome.proved.join(), /not compressed or encrypted/);
		});
	}
});

test('a backup that can not be looked at is an error, not an outcome', async () => {
	const backup = await compressed(await dumpOf(dumpText, { tables }));
	const noKey = async () => Promise.reject(new LifeboatError('KEY_MISSING', 'no key'));
	await assert.rejects(checkBackup(backup, 'complete', noKey), { code: 'KEY_MISSING' });
	const gone = { ...backup, open: async () => Promise.reject(new LifeboatError('NOT_FOUND', 'gone')) };
	await assert.rejects(checkBackup(gone, 'stored', decoder), { code: 'NOT_FOUND' });
	// What lies there has changed: no key is needed to tell.
	const broken = withBytes(backup.manifest, Buffer.concat([backup.bytes, Buffer.of(0)]));
	assert.equal((await checkBackup(broken, 'complete', noKey)).passed, false);
	await assert.rejects(checkBackup(backup, 'complete', decoder, AbortSignal.abort()), { name: 'AbortError' });
});
