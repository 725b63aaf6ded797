import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { parseManifest, parseManifestText, serializeManifest } from '../../../lib/artifact/manifest';
import { assertLifeboatError, sampleBytes } from '../encryption/helpers';
import { artifactOf, readWhole } from './samples';

const WHAT = 'manifest of files.tar';

/** A manifest with something of everything. */
async function sample(): Promise<Record<string, unknown>> {
	const { manifest } = await readWhole(artifactOf(sampleBytes(100)));
	return {
		...manifest,
		tables: [{ schema: 'public', name: 'orders', rows: 3 }],
		sequences: [
			{ schema: 'public', name: 'orders_id_seq', lastValue: '9223372036854775807', isCalled: true },
		],
		transformations: [
			{ type: 'compression', format: 'zstd', level: 3 },
			{ type: 'encryption', format: 'age', passphrase: { kdf: 'scrypt', logN: 18 } },
		],
		chain: { parent: 'a', base: 'b' },
		entries: [{ path: 'db/shop.sql', manifest }],
	};
}

/** The same with a field that no version knows yet in each object. */
function withUnknownFields(value: unknown): unknown {
	if (Array.isArray(value)) return value.map(withUnknownFields);
	if (typeof value !== 'object' || value === null) return value;
	const fields = Object.entries(value).map(([key, field]) => [key, withUnknownFields(field)] as const);
	return { ...Object.fromEntries(fields), ofANewerVersion: { really: ['new'] } };
}

function refused(value: unknown, code = 'MANIFEST_INVALID'): string {
	try {
		parseManifest(value, WHAT);
	} catch (error) {
		assertLifeboatError(error, code);
		assert.ok(error.message.includes(WHAT) && error.message.length < 500, error.message);
		return error.message;
	}
	return assert.fail(`it was accepted: ${JSON.stringify(value)?.slice(0, 200)}`);
}

describe('a manifest', () => {
	test('comes back as it was written', async () => {
		const manifest = parseManifest(await sample(), WHAT);
		assert.deepEqual(parseManifestText(serializeManifest(manifest), WHAT), manifest);
		assert.ok(serializeManifest(manifest).endsWith('}\n'));
	});

	test('keeps the fields that only a newer version knows, at every depth', async () => {
		const newer = withUnknownFields(await sample());
		assert.deepEqual(parseManifest(newer, WHAT), newer);
	});

	test('is refused without any one of the fields it needs, which is named', async () => {
		const whole = await sample();
		const optional = ['tables', 'sequences', 'chain', 'entries'];
		for (const field of Object.keys(whole)) {
			const rest = { ...whole };
			delete rest[field];
			if (optional.includes(field)) parseManifest(rest, WHAT);
			else assert.match(refused(rest), new RegExp(field));
		}
	});

	test('is refused when a value is none of those that are known', async () => {
		const whole = await sample();
		const broken: Record<string, unknown> = {
			formatVersion: '1',
			kind: 'other',
			format: 'docx',
			createdAt: 'yesterday',
			source: { type: 'database' },
			tables: [{ schema: 'public', name: 'orders', rows: -1 }],
			transformations: [{ type: 'compression', format: 'rar' }],
			content: { size: -1, sha256: 'a'.repeat(64) },
			stored: { size: 1, sha256: 'A'.repeat(64) },
			entries: [{ path: '', manifest: {} }],
		};
		for (const [field, value] of Object.entries(broken)) {
			assert.match(refused({ ...whole, [field]: value }), new RegExp(field));
		}
		for (const value of [undefined, null, 1, 'text', [], {}]) refused(value);
	});

	test('cannot name a file outside the folder it is staged in', async () => {
		const whole = await sample();
		const names = ['../x', '..', '.', '/etc/passwd', 'a/b', 'a\\b', 'a\nb', 'a\0b', '', 'x'.repeat(256)];
		for (const fileName of names) assert.match(refused({ ...whole, fileName }), /fileName/);
		for (const fileName of ['..x', '.hidden', 'a..b', 'Ünï-2026.sql', 'x'.repeat(255)]) {
			assert.equal(parseManifest({ ...whole, fileName }, WHAT).fileName, fileName);
		}
	});

	test('of a newer format asks for an update, whatever else it holds', () => {
		assert.match(refused({ formatVersion: 2 }, 'MANIFEST_TOO_NEW'), /version 2/);
	});

	test('that is no JSON is called so', async () => {
		const text = serializeManifest(parseManifest(await sample(), WHAT));
		for (const cut of ['', '{', text.slice(0, -10), `${text}x`]) {
			assert.throws(
				() => parseManifestText(cut, WHAT),
				(error) => {
					assertLifeboatError(error, 'MANIFEST_INVALID');
					return true;
				},
			);
		}
	});
});
