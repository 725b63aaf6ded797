import assert from 'node:assert/strict';
import { KeyObject, randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import type { Client, SFTPWrapper } from 'ssh2';

import { connect } from '../../../../lib/storage/sftp/connect';
import { FastPackets } from '../../../../lib/storage/sftp/fast-packets';
import { SftpSession } from '../../../../lib/storage/sftp/session';
import { sftpStorage } from '../../../../lib/storage/sftp/sftp-storage';
import { startSshd } from '../../../servers/sshd';
import { inChunks } from '../conformance';

const MiB = 1024 * 1024;

/** What is reached into of the library. */
interface Inside {
	_protocol: { _cipher: { _encKey: unknown }; _decipher: { _decipherKey: unknown } };
}

test('packets are fast with the library as it is installed, also after new keys', async () => {
	const server = await startSshd({ config: { RekeyLimit: '1M' } });
	try {
		const connection = await connect(server.storage('.'), 10_000);
		const { client } = connection;
		const isFast = () => {
			const { _cipher, _decipher } = (client as unknown as Inside)._protocol;
			return _cipher._encKey instanceof KeyObject && _decipher._decipherKey instanceof KeyObject;
		};
		assert.ok(isFast());
		const fast: boolean[] = [];
		client.on('handshake', () => fast.push(isFast()));
		const session = new SftpSession(connection, 10_000);
		const blocks = Array.from({ length: 64 }, (_, index) => randomBytes(200_000 + index));
		const place = (index: number) => index * 300_000;
		const handle = await session.open('object', 'w');
		await Promise.all(blocks.map((block, index) => session.write(handle, block, place(index))));
		await session.close(handle);
		const stored = await readFile(join(server.folder, 'object'));
		for (const [index, block] of blocks.entries())
			assert.ok(block.equals(stored.subarray(place(index), place(index) + block.length)), `block ${index}`);
		const again = await session.open('object', 'r');
		const read = await Promise.all(
			blocks.map(async (block, index) => {
				const into = Buffer.alloc(block.length);
				assert.equal(await session.read(again, into, place(index)), block.length);
				return into;
			}),
		);
		for (const [index, block] of blocks.entries()) assert.ok(block.equals(read[index]!), `block ${index}`);
		session.end();
		assert.ok(fast.length >= 10, `keys were changed ${fast.length} times`);
		assert.ok(fast.every(Boolean));
	} finally {
		await server.stop();
	}
});

test('a library that is different inside is left as it is', () => {
	for (const inside of [undefined, {}, { _onWrite: () => {}, _cipher: {}, _decipher: { _onPayload: 1 } }]) {
		const before = JSON.stringify(inside);
		const client = Object.assign(new EventEmitter(), { _protocol: inside }) as unknown as Client;
		const packets = new FastPackets(client, new Socket());
		client.emit('handshake');
		packets.useChannel({} as SFTPWrapper);
		assert.equal(packets.active, false);
		assert.equal(JSON.stringify(inside), before);
	}
});

for (const cipher of ['aes256-gcm@openssh.com', 'aes256-ctr', 'chacha20-poly1305@openssh.com']) {
	test(`a server that only knows ${cipher} keeps and gives every byte`, async () => {
		const server = await startSshd({ config: { Ciphers: cipher, RekeyLimit: '2M' } });
		const storage = sftpStorage(server.storage('.'));
		try {
			const content = randomBytes(5 * MiB + 7);
			await storage.put('object', inChunks(content, 100_000));
			assert.ok(content.equals(await readFile(join(server.folder, 'object'))));
			assert.ok(content.equals(await buffer(await storage.get('object'))));
		} finally {
			await storage.close();
			await server.stop();
		}
	});
}
