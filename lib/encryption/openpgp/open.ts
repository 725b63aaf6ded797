import { createDecipheriv, createHash, timingSafeEqual } from 'node:crypto';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';

import type { PrivateKey } from 'openpgp';

import { LifeboatError } from '../../errors';
import { damaged } from '../failures';
import { freeMemory } from '../memory';

import { dearmored } from './armor';
import { contentOf, type SignaturePolicy } from './content';
import { keyMissing, wrongKey } from './failures';
import { packet, PacketReader, Tag, wholeBody, type Packet } from './packets';
import { unwrapSessionKeys, type SessionKey } from './session-key';
import { PrivateSpool } from './spool';

const SLICE_SIZE = 256 * 1024;

/** More would only be there to keep a machine busy. */
const MAX_SESSION_KEY_PACKETS = 128;

const MAX_PASSPHRASE_PACKETS = 8;

const SESSION_KEY_PACKET_SIZE = 8 * 1024;

/** Random bytes that the data starts with, and their last two again. */
const PREFIX_SIZE = 18;

/** Of the modification detection code, with its packet's header. */
const CODE_SIZE = 22;

export interface MessageKeys extends SignaturePolicy {
	decryptionKeys: readonly PrivateKey[];
	passphrases: readonly string[];
	/** What the manifest says: fingerprints of the keys that open the message. */
	recipients: readonly string[] | undefined;
}

/**
 * Opens an encrypted message. Its data is authenticated only by what stands at its end, so it is kept in a private spool
 * until then: what this releases was all there, unchanged.
 */
export function messageReader(keys: MessageKeys): Duplex {
	const spool = new PrivateSpool();
	const stream = Duplex.from((source: AsyncIterable<Buffer>) => opened(sliced(source), keys, spool));
	stream.once('close', () => {
		// Reading ended, well or not; there is nobody left to tell of a temporary file that can't be closed.
		spool.close().catch(() => {});
	});
	return stream;
}

async function* sliced(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
	for await (const data of source) {
		for (let offset = 0; offset < data.length; offset += SLICE_SIZE) {
			if (offset > 0) await turn();
			yield data.subarray(offset, offset + SLICE_SIZE);
		}
	}
}

async function* opened(
	source: AsyncIterable<Buffer>,
	keys: MessageKeys,
	spool: PrivateSpool,
): AsyncGenerator<Buffer, void, undefined> {
	const reader = new PacketReader(dearmored(source));
	const sessionKeyPackets: Buffer[] = [];
	const keyIds: string[] = [];
	let passphrasePackets = 0;
	for (;;) {
		const found = await reader.next();
		if (!found) throw damaged('ends within its header');
		if (found.tag === Tag.encrypted) {
			const sessionKeys = await findSessionKeys(
				Buffer.concat(sessionKeyPackets),
				keyIds,
				passphrasePackets > 0,
				keys,
			);
			const wrong = () => wrongKey(keys, keyIds, passphrasePackets > 0);
			await decryptInto(spool, found, sessionKeys, wrong);
			if (await reader.next()) throw damaged('goes on behind its real end');
			yield* contentOf(spool.read(), keys);
			return;
		}
		if (found.tag === Tag.publicKeySessionKey || found.tag === Tag.passphraseSessionKey) {
			const body = await wholeBody(found, SESSION_KEY_PACKET_SIZE);
			if (found.tag === Tag.passphraseSessionKey) passphrasePackets += 1;
			else if (body[0] === 3) keyIds.push(body.toString('hex', 1, 9).toUpperCase());
			sessionKeyPackets.push(packet(found.tag, body));
			if (sessionKeyPackets.length <= MAX_SESSION_KEY_PACKETS && passphrasePackets <= MAX_PASSPHRASE_PACKETS)
				continue;
			throw damaged('has a header for more keys than are accepted');
		}
		if (found.tag === Tag.marker || found.tag === Tag.padding)
			await wholeBody(found, SESSION_KEY_PACKET_SIZE);
		else throw refusal(found.tag);
	}
}

function refusal(tag: number): LifeboatError {
	const withGpg = 'Decrypt it with the gpg command, and take what comes out';
	if (tag === Tag.encryptedWithoutIntegrity) {
		return new LifeboatError(
			'UNSUPPORTED_FORMAT',
			'The encrypted data has nothing that shows whether it was changed',
			{
				hint: 'Such messages come from very old programs and are not opened. Encrypt it again with a current gpg',
			},
		);
	}
	if (tag === Tag.encryptedGnuPg) {
		return new LifeboatError('UNSUPPORTED_FORMAT', "The encrypted data is in GnuPG's own OCB format", {
			hint: withGpg,
		});
	}
	return damaged('does not start as an encrypted OpenPGP message does');
}

async function findSessionKeys(
	packets: Buffer,
	keyIds: readonly string[],
	forPassphrase: boolean,
	keys: MessageKeys,
): Promise<SessionKey[]> {
	const decryptionKeys = keyIds.length > 0 || !forPassphrase ? keys.decryptionKeys : [];
	const passphrases = forPassphrase ? keys.passphrases : [];
	if (packets.length === 0) throw damaged('has no header that says how it is opened');
	if (decryptionKeys.length === 0 && passphrases.length === 0) {
		throw keyMissing(
			keyIds.length === 0 ? 'passphrase' : forPassphrase ? 'either' : 'key',
			keys.recipients ?? keyIds,
		);
	}
	return unwrapSessionKeys(packets, decryptionKeys, passphrases);
}

/** Decrypts the data of one packet, and proves it by the code at its end. */
async function decryptInto(
	spool: PrivateSpool,
	{ body }: Packet,
	sessionKeys: readonly SessionKey[],
	wrong: () => LifeboatError,
): Promise<void> {
	let start: Buffer = Buffer.alloc(0);
	while (start.length <= PREFIX_SIZE + 1) {
		const { value } = await body.next();
		if (!value) throw damaged('ends before its real end');
		start = Buffer.concat([start, value]);
	}
	if (start[0] !== 1) {
		throw new LifeboatError(
			'UNSUPPORTED_FORMAT',
			`The encrypted data is of version ${start[0]} of its format; version 1 is known`,
			{
				hint: 'Decrypt it with the program that made it, or encrypt with gpg 2.2 or newer and its default settings',
			},
		);
	}
	const decipher = decipherFor(start.subarray(1, PREFIX_SIZE + 2), sessionKeys);
	if (!decipher) throw wrong();
	const hash = createHash('sha1');
	let prefix = PREFIX_SIZE;
	let held: Buffer = Buffer.alloc(0);
	const use = async (ciphertext: Buffer) => {
		const deciphered = decipher.update(ciphertext);
		let plaintext: Buffer = deciphered;
		if (prefix > 0) {
			hash.update(plaintext.subarray(0, prefix));
			const rest = plaintext.subarray(prefix);
			prefix -= plaintext.length - rest.length;
			plaintext = rest;
		}
		if (plaintext.length < CODE_SIZE) plaintext = Buffer.concat([held, plaintext]);
		else await keep(held);
		const end = Math.max(0, plaintext.length - CODE_SIZE);
		await keep(plaintext.subarray(0, end));
		held = Buffer.from(plaintext.subarray(end));
		freeMemory(deciphered);
	};
	const keep = async (data: Buffer) => {
		if (data.length === 0) return;
		hash.update(data);
		await spool.write(data);
	};
	await use(start.subarray(1));
	for await (const data of body) await use(data);
	const code = hash.update(held.subarray(0, 2)).digest();
	const isWhole = held.length === CODE_SIZE && held[0] === 0xd3 && held[1] === 0x14;
	if (!isWhole || !timingSafeEqual(code, held.subarray(2)))
		throw damaged('was changed, or ends before its real end');
}

/** The key that makes sense of the data's first bytes. A wrong one does so once in 16 million times. */
function decipherFor(
	start: Buffer,
	sessionKeys: readonly SessionKey[],
): ReturnType<typeof createDecipheriv> | undefined {
	for (const { data, algorithm } of sessionKeys) {
		const name = /^aes(128|192|256)$/.exec(algorithm ?? '')?.[1];
		if (name === undefined || data.length * 8 !== Number(name)) continue;
		const create = () => createDecipheriv(`aes-${name}-cfb`, data, Buffer.alloc(16));
		const plaintext = create().update(start);
		const repeats = plaintext.subarray(14, 16).equals(plaintext.subarray(16, 18));
		if (repeats && plaintext[PREFIX_SIZE]! & 0x80) return create();
	}
	const foreign = sessionKeys.find(({ algorithm }) => algorithm !== null && !/^aes\d+$/.test(algorithm));
	if (foreign && sessionKeys.length === 1) {
		throw new LifeboatError('UNSUPPORTED_FORMAT', `The encrypted data uses the cipher ${foreign.algorithm}`, {
			hint: 'Decrypt it with the gpg command, or encrypt with "gpg --cipher-algo AES256"',
		});
	}
	return undefined;
}
