import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';

import type { PrivateKey } from 'openpgp';

import { LifeboatError } from '../../errors';
import { BufferPool, type GiveBack } from '../../streams/buffer-pool';
import { offer, onOffer, type SecondReading } from '../../streams/neighbours';
import { damaged } from '../failures';

import { dearmored } from './armor';
import { BatchTags } from './batch-tags';
import { decryptCfb } from './cfb';
import { contentOf, type SignaturePolicy } from './content';
import { keyMissing, wrongKey } from './failures';
import { HashThread } from './hash-thread';
import { contentIn, ciphertextIn, encryptedData, type EncryptedData } from './integrity';
import { PacketReader, Tag, wholeBody } from './packets';
import { unwrapSessionKeys, type SessionKey, type SessionKeyPacket } from './session-key';
import { PrivateSpool } from './spool';

const SLICE_SIZE = 256 * 1024;

/** More would only be there to keep a machine busy. */
const MAX_SESSION_KEY_PACKETS = 128;

const MAX_PASSPHRASE_PACKETS = 8;

const SESSION_KEY_PACKET_SIZE = 8 * 1024;

/** Of the pieces that come out. */
const PIECE_SIZE = 256 * 1024;

export interface MessageKeys extends SignaturePolicy {
	decryptionKeys: readonly PrivateKey[];
	passphrases: readonly string[];
	/** What the manifest says: fingerprints of the keys that open the message. */
	recipients: readonly string[] | undefined;
}

/**
 * Opens an encrypted message. Its data is authenticated only by what stands at its end: what this releases was all there, unchanged. Until then
 * it is kept in a private spool, or, where the message can be read again, only recognised when it comes a second time.
 */
export function messageReader(keys: MessageKeys): Duplex {
	const proof: Proof = {
		hash: new HashThread(),
		spool: new PrivateSpool(),
		tags: new BatchTags(),
		second: undefined,
	};
	const pool = new BufferPool(PIECE_SIZE);
	let giveBack: GiveBack | undefined;
	const stream = Duplex.from((source: AsyncIterable<Buffer>) => {
		const pieces = sliced(source, (data) => giveBack?.(data));
		return gathered(opened(pieces, keys, proof), pool);
	});
	onOffer(stream, (accepted) => {
		giveBack = accepted.giveBack;
		proof.second = accepted.readAgain?.();
	});
	offer(stream, { pool });
	stream.once('close', () => {
		// Reading ended, well or not; there is nobody left to tell of a file that can't be closed.
		for (const each of [proof.hash, proof.spool, proof.tags]) each.close().catch(() => {});
		proof.second?.release().catch(() => {});
	});
	return stream;
}

/** What is needed until the data is proven. */
interface Proof {
	hash: HashThread;
	spool: PrivateSpool;
	tags: BatchTags;
	second: SecondReading | undefined;
}

/** @param giveBack gets each piece once the one behind it is asked for. Until then what is yielded of it is good. */
async function* sliced(
	source: AsyncIterable<Buffer>,
	giveBack: GiveBack,
): AsyncGenerator<Buffer, void, undefined> {
	for await (const data of source) {
		for (let offset = 0; offset < data.length; offset += SLICE_SIZE) {
			if (offset > 0) await turn();
			yield data.subarray(offset, offset + SLICE_SIZE);
		}
		giveBack(data);
	}
}

/** The same bytes, copied into pieces of a pool. */
async function* gathered(
	source: AsyncIterable<Buffer>,
	pool: BufferPool,
): AsyncGenerator<Buffer, void, undefined> {
	let target: Buffer | undefined;
	let fill = 0;
	for await (const data of source) {
		for (let offset = 0; offset < data.length;) {
			target ??= pool.take(PIECE_SIZE);
			const copied = data.copy(target, fill, offset, offset + PIECE_SIZE - fill);
			offset += copied;
			fill += copied;
			if (fill < PIECE_SIZE) continue;
			yield pool.lend(target, fill);
			target = undefined;
			fill = 0;
		}
	}
	if (target && fill > 0) yield pool.lend(target, fill);
}

async function* opened(
	source: AsyncIterable<Buffer>,
	keys: MessageKeys,
	proof: Proof,
): AsyncGenerator<Buffer, void, undefined> {
	const reader = new PacketReader(dearmored(source));
	const sessionKeyPackets: SessionKeyPacket[] = [];
	const keyIds: string[] = [];
	let passphrasePackets = 0;
	for (;;) {
		const found = await reader.next();
		if (!found) throw damaged('ends within its header');
		if (found.tag === Tag.encrypted) {
			const sessionKeys = await findSessionKeys(sessionKeyPackets, keyIds, passphrasePackets > 0, keys);
			const wrong = () => wrongKey(keys, keyIds, passphrasePackets > 0);
			const data = await encryptedData(found.body, sessionKeys, wrong);
			const ending = async () => {
				if (await reader.next()) throw damaged('goes on behind its real end');
			};
			yield* contentOf(provenContent(data, ending, proof), keys);
			return;
		}
		if (found.tag === Tag.publicKeySessionKey || found.tag === Tag.passphraseSessionKey) {
			const body = await wholeBody(found, SESSION_KEY_PACKET_SIZE);
			if (found.tag === Tag.passphraseSessionKey) passphrasePackets += 1;
			else if (body[0] === 3) keyIds.push(body.toString('hex', 1, 9).toUpperCase());
			sessionKeyPackets.push({ tag: found.tag, body });
			if (sessionKeyPackets.length <= MAX_SESSION_KEY_PACKETS && passphrasePackets <= MAX_PASSPHRASE_PACKETS)
				continue;
			throw damaged('has a header for more keys than are accepted');
		}
		if (found.tag === Tag.marker || found.tag === Tag.padding)
			await wholeBody(found, SESSION_KEY_PACKET_SIZE);
		else throw refusal(found.tag);
	}
}

/** @param ending called when the data is at its end: fails if the message isn't. */
async function* provenContent(
	{ key, ciphertext }: EncryptedData,
	ending: () => Promise<void>,
	{ hash, spool, tags, second }: Proof,
): AsyncGenerator<Buffer, void, undefined> {
	const plaintext = decryptCfb(key, ciphertext);
	const content = contentIn(second ? tags.noted(plaintext) : plaintext, hash);
	for await (const data of content) if (!second) await spool.write(data);
	await ending();
	await hash.close();
	if (!second) {
		yield* spool.read();
		return;
	}
	const again = ciphertextIn(new PacketReader(dearmored(second.read())));
	yield* contentIn(tags.compared(decryptCfb(key, again)));
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
	packets: readonly SessionKeyPacket[],
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
