import { createSecretKey, type KeyObject } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Client, SFTPWrapper } from 'ssh2';

import { BatchedWrites } from './batched-writes';
import { freeLarge } from './free-large';

/** SSH_MSG_CHANNEL_DATA (RFC 4254, 5.2). */
const CHANNEL_DATA = 94;

/** SSH_FXP_DATA (draft-ietf-secsh-filexfer-02, 7). */
const FILE_DATA = 103;

/** What is reached into of the SSH library. */
interface Protocol {
	_onWrite: (data: Uint8Array) => void;
	_cipher: {
		_encKey?: Buffer | KeyObject;
		_onWrite: (data: Uint8Array) => void;
		encrypt: (packet: Buffer) => void;
	};
	_decipher: { _decipherKey?: Buffer | KeyObject; _onPayload: (payload: Buffer) => unknown };
	channelData: (channel: number, data: Buffer) => void;
}

/** And of its SFTP channel. */
interface Channel {
	_pkt?: Buffer;
	push: (data: Buffer | null) => unknown;
}

/**
 * Makes a connection of ssh2 (1.17) a multiple faster: packets are sent together; and where it encrypts with AES-GCM, which it prefers, a
 * key is prepared once and not for each packet, and the memory of each packet is given back as soon as it was copied on. The library
 * offers nothing for that, so it is reached into; where it isn't as expected, it works as it does by itself.
 */
export class FastPackets {
	private readonly batches: BatchedWrites;

	/** Whether that is so with the present keys. Then nothing keeps what the socket receives. */
	active = false;

	/** To be made before the connection is. */
	constructor(
		private readonly client: Client,
		socket: Socket,
	) {
		this.batches = new BatchedWrites(socket);
		// After the first exchange of keys, and after each later one, which makes new ciphers.
		client.on('handshake', () => this.useNewKeys());
	}

	/** To be called with the connection's channel. */
	useChannel(sftp: SFTPWrapper): void {
		const channel = sftp as unknown as Channel;
		if (!this.active || typeof channel.push !== 'function') return;
		const push = channel.push.bind(channel);
		channel.push = (data) => {
			const packet = channel._pkt;
			const result = push(data);
			// It was gathered from several pieces, and what it holds has been copied to where it belongs.
			if (packet?.[0] === FILE_DATA && channel._pkt !== packet) freeLarge(packet);
			return result;
		};
	}

	private useNewKeys(): void {
		const { _protocol: protocol } = this.client as unknown as { _protocol: unknown };
		this.active = false;
		if (!isKnown(protocol)) return;
		const { _cipher: cipher, _decipher: decipher } = protocol;
		if (protocol._onWrite !== this.batches.write) freeRequests(protocol);
		// The ciphers of later keys begin with it: whatever is sent goes the same way, in order.
		protocol._onWrite = this.batches.write;
		cipher._onWrite = this.batches.write;
		this.active = Buffer.isBuffer(cipher._encKey) && Buffer.isBuffer(decipher._decipherKey);
		if (!this.active) return;
		cipher._encKey = createSecretKey(cipher._encKey as Buffer);
		decipher._decipherKey = createSecretKey(decipher._decipherKey as Buffer);
		cipher._onWrite = (data) => {
			this.batches.write(data);
			// What was encrypted has memory of its own; the length before it is a part of the packet.
			if (data.length === data.buffer.byteLength) freeLarge(data);
		};
		const encrypt = cipher.encrypt.bind(cipher);
		cipher.encrypt = (packet) => {
			encrypt(packet);
			freeLarge(packet);
		};
		const { _onPayload: onPayload } = decipher;
		decipher._onPayload = (payload) => {
			const result = onPayload(payload);
			if (payload[0] === CHANNEL_DATA) freeLarge(payload);
			return result;
		};
	}
}

/** Whether the library is inside what it was when this was written: a later one may be slower, but must work. */
function isKnown(protocol: unknown): protocol is Protocol {
	const { _onWrite, _cipher, _decipher, channelData } = (protocol ?? {}) as Partial<Protocol>;
	return [_onWrite, _cipher?._onWrite, _cipher?.encrypt, _decipher?._onPayload, channelData].every(
		(method) => typeof method === 'function',
	);
}

/** A request is copied into packets piece by piece, and is itself a copy of what was to be written. */
function freeRequests(protocol: Protocol): void {
	const channelData = protocol.channelData.bind(protocol);
	protocol.channelData = (channel, data) => {
		const isLast = data.byteOffset + data.length === data.buffer.byteLength;
		channelData(channel, data);
		if (isLast) freeLarge(data);
	};
}
