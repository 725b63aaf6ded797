import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { generateKey } from 'openpgp';

import { openFile } from '../../../lib/artifact/file-artifact';
import { decryptor, encryptionEncoding, type EncryptionKeys } from '../../../lib/encryption/encryption';
import { decryptCfb } from '../../../lib/encryption/openpgp/cfb';
import { HashThread } from '../../../lib/encryption/openpgp/hash-thread';
import { contentIn } from '../../../lib/encryption/openpgp/integrity';
import { MessageWriter } from '../../../lib/encryption/openpgp/seal';
import { BufferPool } from '../../../lib/streams/buffer-pool';
import { chain } from '../../../lib/streams/chain';
import { DigestStream } from '../../../lib/streams/digest';
import { offer } from '../../../lib/streams/neighbours';
import { assertLifeboatError, pieces, sampleBytes, transformationOf, transformed } from './helpers';

let keys: EncryptionKeys;

/** How many files this process has open whose path ends so. */
async function openFiles(ending: string): Promise<number> {
	const links = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
	return (await Promise.all(links)).filter((target) => target.endsWith(ending)).length;
}

describe('until an OpenPGP message is proven', () => {
	before(async () => {
		const { publicKey, privateKey } = await generateKey({ userIDs: [{ name: 'x' }], format: 'armored' });
		keys = { openpgp: { publicKeys: [publicKey], privateKeys: [privateKey] } };
	});

	test('large files wait on disk, unreadable, and leave nothing there', async () => {
		const encoding = await encryptionEncoding('openpgp', keys);
		const data = Buffer.alloc(24 * 1024 * 1024, 'a line that would be found on the disk\n');
		const file = await transformed(await encoding.createTransform(), data);
		const spools = async () => (await readdir(tmpdir())).filter((name) => name.endsWith('.spool'));
		const before = await spools();
		const stream = await decryptor(transformationOf(encoding), keys);
		const hash = createHash('sha256');
		const openSpools = () => openFiles('.spool (deleted)');
		let sawFirst = false;
		stream.end(file);
		for await (const part of stream) {
			if (!sawFirst) {
				sawFirst = true;
				assert.deepEqual(await spools(), before);
				assert.equal(await openSpools(), 1, 'it has no name while it is read');
			}
			hash.update(part as Buffer);
		}
		assert.equal(hash.digest('hex'), createHash('sha256').update(data).digest('hex'));
		for (const deadline = Date.now() + 5000; (await openSpools()) > 0 && Date.now() < deadline;)
			await sleep(10);
		assert.equal(await openSpools(), 0);
	});

	test('a file in a chain is read twice instead, and nothing waits on disk', async () => {
		const encoding = await encryptionEncoding('openpgp', keys);
		const data = sampleBytes(9 * 1024 * 1024);
		const folder = await mkdtemp(join(tmpdir(), 'lifeboat-openpgp-'));
		const path = join(folder, 'file');
		const open = async () => [await openFiles(path), await openFiles('.spool (deleted)')];
		try {
			await writeFile(path, await transformed(await encoding.createTransform(), data));
			const message = async () =>
				chain(await openFile(path), [new DigestStream(), await decryptor(transformationOf(encoding), keys)]);
			const parts: Buffer[] = [];
			for await (const part of await message()) {
				if (parts.length === 0) assert.deepEqual(await open(), [1, 0]);
				parts.push(part as Buffer);
			}
			assert.ok(data.equals(Buffer.concat(parts)));
			const givenUp = await message();
			for await (const part of givenUp) {
				assert.ok((part as Buffer).length > 0);
				break;
			}
			(await message()).destroy();
			for (const deadline = Date.now() + 5000; (await open())[0]! > 0 && Date.now() < deadline;)
				await sleep(10);
			assert.deepEqual(await open(), [0, 0]);
		} finally {
			await rm(folder, { recursive: true });
		}
	});

	test('every bit of its first and last 4 KiB counts', async () => {
		const key = randomBytes(32);
		const writer = new MessageWriter(Buffer.alloc(0), key, 'bytes');
		const message = await transformed(writer, sampleBytes(8192));
		// Behind tag, length and version.
		const ciphertext = message.subarray(7);
		async function* once(): AsyncGenerator<Buffer> {
			yield ciphertext;
		}
		const read = async () => {
			let size = 0;
			const plaintext = decryptCfb(key, once());
			for await (const data of contentIn(plaintext, new HashThread())) size += data.length;
			return size;
		};
		assert.equal(await read(), 1 + 5 + 6 + 8192);
		for (let place = 0; place < ciphertext.length; place++) {
			if (place === 4096) place = ciphertext.length - 4096;
			for (let bit = 0; bit < 8; bit++) {
				ciphertext[place]! ^= 1 << bit;
				await assert.rejects(read(), { code: 'DAMAGED' }, `bit ${bit} of byte ${place}`);
				ciphertext[place]! ^= 1 << bit;
			}
		}
	});

	test('of a file that is changed between two readings nothing that was changed is released', async () => {
		const encoding = await encryptionEncoding('openpgp', keys);
		const data = sampleBytes(300_000);
		const file = await transformed(await encoding.createTransform(), data);
		const readTwice = async (second: Buffer) => {
			const source = Readable.from(pieces(file, [70_000, 140_000]));
			let isReleased = false;
			offer(source, {
				pool: new BufferPool(1),
				readAgain: () => ({
					read: () => Readable.from(pieces(second, [100, 100_000])),
					release: async () => void (isReleased = true),
				}),
			});
			const stream = chain(source, [await decryptor(transformationOf(encoding), keys)]);
			const released: Buffer[] = [];
			stream.on('data', (part: Buffer) => released.push(part));
			const error = await finished(stream).catch((reason: unknown) => reason);
			assert.ok(isReleased);
			return { released: Buffer.concat(released), error };
		};
		const same = await readTwice(file);
		assert.equal(same.error, undefined);
		assert.ok(data.equals(same.released));
		const refused = async (second: Buffer, intact: number) => {
			const { released, error } = await readTwice(second);
			assertLifeboatError(error, 'DAMAGED');
			assert.ok(released.length <= intact && released.equals(data.subarray(0, released.length)));
		};
		const payload = file.length - data.length;
		for (const place of [payload, 65_600, 100_000, 200_000, file.length - 23, file.length - 1]) {
			const changed = Buffer.from(file);
			changed[place]! ^= 4;
			await refused(changed, place);
		}
		for (const end of [0, 10, 100_000, file.length - 22, file.length - 1])
			await refused(file.subarray(0, end), end);
		await refused(await transformed(await encoding.createTransform(), data), 0);
	});
});
