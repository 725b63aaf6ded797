import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';

import { storeBackup } from '../../../../lib/storage/backups';
import type { Exchange, Fault } from '../../../servers/fault-proxy';
import { stagedBackup } from '../backup-samples';

import { s3BehindProxy } from './behind-proxy';

const MiB = 1024 * 1024;
const sumOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('base64');

describe('the SHA-256 that goes with what is sent to a service that compares it', () => {
	const s3 = s3BehindProxy();
	const sumIn = ({ headers }: Exchange) => headers['x-amz-checksum-sha256'] as string | undefined;
	/** An answer as that of a service that has compared the checksum it got. */
	const confirming = (exchange: Exchange, sum = sumIn(exchange)): Fault | undefined =>
		sum === undefined ? undefined : { kind: 'add-headers', headers: { 'x-amz-checksum-sha256': sum } };

	for (const size of [1000, 20 * MiB]) {
		test(`is that of each request, and proves the upload where it is answered (${size} bytes)`, async () => {
			const content = randomBytes(size);
			const backup = await stagedBackup(content);
			const sums = new Set<string>();
			for (let at = 0; at < size; at += 6 * MiB) sums.add(sumOf(content.subarray(at, at + 6 * MiB)));
			const storage = s3.storage({ provider: 'aws' });
			const store = async (key: string, answer: (exchange: Exchange) => Fault | undefined) => {
				const sent = new Set<string>();
				s3.proxy.onExchange = (exchange) => {
					const isBackup = exchange.url.split('?')[0]!.endsWith(`/${key}.tar`);
					if (exchange.method !== 'PUT' || !isBackup) return undefined;
					if (sumIn(exchange) !== undefined) sent.add(sumIn(exchange)!);
					return answer(exchange);
				};
				const { proof } = await storeBackup(storage, backup, {
					key: `${key}.tar`,
					proof: 'service-checksum',
				});
				assert.deepEqual(sent, sums);
				assert.ok(content.equals(await buffer(await storage.get(`${key}.tar`))));
				return [proof.method, proof.checksum];
			};
			const name = size > 6 * MiB ? 'SHA-256 of each part' : 'SHA-256';
			assert.deepEqual(await store('confirmed', confirming), ['service-checksum', name]);
			// A service that ignores it, and one that has seen something else.
			assert.deepEqual(await store('ignored', () => undefined), ['read-back', undefined]);
			const other = sumOf(Buffer.from('something else'));
			assert.deepEqual(await store('other', (exchange) => confirming(exchange, other)), [
				'read-back',
				undefined,
			]);
			await storage.close();
		});
	}

	test('is not sent to a service that is not known to compare it', async () => {
		const found: string[] = [];
		s3.proxy.onExchange = ({ method, headers }) => {
			if (method === 'PUT')
				found.push(...Object.keys(headers).filter((name) => /checksum|content-md5/.test(name)));
			return undefined;
		};
		const storage = s3.storage({ provider: 'other' });
		await storeBackup(storage, await stagedBackup(), { key: 'plain.tar' });
		assert.deepEqual(found, []);
		await storage.close();
	});
});
