import assert from 'node:assert/strict';
import { createDecipheriv, createHash, hkdfSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { inflateSync } from 'node:zlib';

import * as cctv from 'cctv-age';

import { LifeboatError } from '../../../lib/errors';
import { decryptor } from '../../../lib/encryption/encryption';
import { assertLifeboatError, attempt, pieces } from './helpers';

/** The codes that stand for each way to fail. */
const codes: Record<string, string[]> = {
	'no match': ['WRONG_KEY', 'KEY_MISSING', 'DAMAGED'],
	'HMAC failure': ['DAMAGED'],
	'header failure': ['DAMAGED', 'UNSUPPORTED_FORMAT'],
	'payload failure': ['DAMAGED'],
	'armor failure': ['DAMAGED'],
};

interface Vector {
	fields: Map<string, string[]>;
	file: Buffer;
}

function parse(bytes: Uint8Array): Vector {
	const text = Buffer.from(bytes);
	const end = text.indexOf('\n\n');
	const fields = new Map<string, string[]>();
	for (const line of text.toString('utf8', 0, end).split('\n')) {
		const [, key = '', value = ''] = /^([^:]+): (.*)$/.exec(line) ?? [];
		fields.set(key, [...(fields.get(key) ?? []), value]);
	}
	const rest = text.subarray(end + 2);
	return { fields, file: fields.get('compressed')?.[0] === 'zlib' ? inflateSync(rest) : rest };
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** All chunks from the start of the payload that are authentic, whatever comes behind them. */
function authenticContent(fields: Vector['fields'], file: Buffer): Buffer {
	let binary = file;
	if (fields.get('armored')) {
		const lines = file.toString('latin1').split(/\r?\n/);
		binary = Buffer.from(lines.filter((line) => !line.startsWith('-----')).join(''), 'base64');
	}
	const end = binary.indexOf('\n', binary.indexOf('\n--- ') + 1) + 1;
	const fileKey = Buffer.from(fields.get('file key')?.[0] ?? '', 'hex');
	const key = Buffer.from(hkdfSync('sha256', fileKey, binary.subarray(end, end + 16), 'payload', 32));
	const content: Buffer[] = [];
	for (let at = end + 16, number = 0; at < binary.length; at += 65_552, number++) {
		const chunk = binary.subarray(at, at + 65_552);
		const middle = open(chunk, key, number, 0);
		const opened = middle ?? open(chunk, key, number, 1);
		if (opened) content.push(opened);
		if (!middle) break;
	}
	return Buffer.concat(content);
}

function open(chunk: Buffer, key: Buffer, number: number, last: number): Buffer | undefined {
	const nonce = Buffer.from([...Array.from({ length: 10 }, () => 0), number, last]);
	const opener = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
	try {
		opener.setAuthTag(chunk.subarray(-16));
		return Buffer.concat([opener.update(chunk.subarray(0, -16)), opener.final()]);
	} catch {
		return undefined;
	}
}

describe("the age project's own test vectors", () => {
	const vectors = Object.entries(cctv as unknown as Record<string, Uint8Array>).filter(
		([, bytes]) => bytes instanceof Uint8Array,
	);

	test('are all there', () => {
		assert.ok(vectors.length > 100, `${vectors.length}`);
	});

	for (const [name, bytes] of vectors) {
		test(name, async () => {
			const { fields, file } = parse(bytes);
			const [expected = ''] = fields.get('expect') ?? [];
			// Some vectors need no key to fail.
			const needsKey = fields.has('passphrase') || fields.has('identity');
			const [passphrase, ...earlierPassphrases] = fields.get('passphrase') ?? (needsKey ? [] : ['x']);
			const keys = {
				identities: fields.get('identity') ?? [],
				...(passphrase === undefined ? {} : { passphrase, earlierPassphrases }),
			};
			for (const input of [[file], pieces(file, [1, 20, 100, 333, 65_700])]) {
				const { released, error } = await decryptor({ type: 'encryption', format: 'age' }, keys).then(
					async (opener) => attempt(opener, input),
					(thrown: unknown) => ({ released: Buffer.alloc(0), error: thrown }),
				);
				if (expected === 'success') {
					if (error !== undefined) throw error as Error;
				} else {
					assert.ok(codes[expected], expected);
					assert.ok(error instanceof LifeboatError, String(error));
					assertLifeboatError(error, ...codes[expected]);
				}
				const [hash] = fields.get('payload') ?? [];
				if (!hash) {
					assert.equal(released.length, 0);
				} else if (sha256(released) !== hash) {
					// A whole chunk that could be the last one, and isn't marked so, is not released here though it is authentic.
					assert.equal(expected, 'payload failure');
					const authentic = authenticContent(fields, file);
					assert.equal(sha256(authentic), hash);
					assert.ok(authentic.subarray(0, released.length).equals(released));
				}
			}
		});
	}
});
