import { Readable } from 'node:stream';
import { createInflate, createInflateRaw } from 'node:zlib';

import type { Key } from 'openpgp';

import { LifeboatError } from '../../errors';
import { chain } from '../../streams/chain';
import { damaged } from '../failures';

import { fingerprintOf, openPgp } from './keys';
import { packet, PacketReader, PacketWriter, Tag, wholeBody, type Packet } from './packets';

const SMALL_PACKET = 64 * 1024;

const MAX_SIGNATURES = 16;

/** What no backup is compressed by, and only a file made to fill a disk is: bytes out for each byte in, beyond the first ones. */
const MAX_RATIO = 250;

const RATIO_FREE_SIZE = 16 * 1024 * 1024;

/** How signatures are checked. */
export interface SignaturePolicy {
	/** Signatures by these must be valid; those by others can't be checked. */
	verificationKeys: readonly Key[];
	/** Fingerprints of who has signed it by its manifest: then it must be signed, and by one of them whose key is known, if any is. */
	signedBy: readonly string[];
}

/**
 * The content in the packets of a decrypted message. Nothing may follow it but signatures.
 *
 * @param packets each piece is good until the next one is asked for; so are those returned.
 */
export async function* contentOf(
	packets: AsyncIterable<Uint8Array>,
	policy: SignaturePolicy,
	isCompressed = false,
): AsyncGenerator<Buffer, void, undefined> {
	const reader = new PacketReader(packets);
	const signatures: Buffer[] = [];
	for (let found = await reader.next(); found; found = await reader.next()) {
		if (found.tag === Tag.marker || found.tag === Tag.padding) {
			await wholeBody(found, SMALL_PACKET);
		} else if (found.tag === Tag.compressed && !isCompressed && signatures.length === 0) {
			yield* contentOf(inflated(found), policy, true);
			if (await reader.next()) throw damaged('holds more than one message');
			return;
		} else if (found.tag === Tag.onePassSignature && signatures.length < MAX_SIGNATURES) {
			signatures.push(await wholeBody(found, SMALL_PACKET));
		} else if (found.tag === Tag.literal) {
			requireSignature(signatures, policy);
			yield* canVerify(signatures, policy.verificationKeys)
				? verified(signatures, found, reader, policy)
				: unverified(found, reader);
			return;
		} else {
			throw damaged('holds packets that a backup has no use for');
		}
	}
	throw damaged('holds no content');
}

function requireSignature(
	signatures: readonly Buffer[],
	{ signedBy, verificationKeys }: SignaturePolicy,
): void {
	if (signedBy.length === 0) return;
	if (signatures.length === 0) throw damaged('is not signed, though its manifest says so');
	const signers = verificationKeys.filter((key) => signedBy.includes(fingerprintOf(key)));
	if (signers.length > 0 && !canVerify(signatures, signers)) {
		throw damaged('is signed by somebody else than its manifest says');
	}
}

async function* unverified(literal: Packet, reader: PacketReader): AsyncGenerator<Buffer, void, undefined> {
	yield* literalContent(literal);
	for (let count = 0; ; count++) {
		const next = await reader.next();
		if (!next) return;
		await checkSignature(next, count);
	}
}

async function checkSignature(found: Packet, count: number): Promise<Buffer> {
	if (found.tag !== Tag.signature || count >= MAX_SIGNATURES)
		throw damaged('goes on behind the end of its content');
	return wholeBody(found, SMALL_PACKET);
}

/** RFC 9580, section 5.9. */
async function* literalContent({ body }: Packet): AsyncGenerator<Buffer, void, undefined> {
	let head: Buffer | undefined = Buffer.alloc(0);
	for await (const data of body) {
		if (!head) {
			yield data;
			continue;
		}
		head = Buffer.concat([head, data]);
		const start: number = head.length < 2 ? Infinity : 2 + head[1]! + 4;
		if (head.length < start) continue;
		const rest: Buffer = head.subarray(start);
		head = undefined;
		if (rest.length > 0) yield rest;
	}
	if (head) throw damaged('has a malformed packet');
}

async function* inflated({ body }: Packet): AsyncGenerator<Buffer, void, undefined> {
	let bytesIn = 0;
	const first = await body.next();
	const [algorithm] = first.value ?? [];
	async function* compressed(): AsyncGenerator<Buffer, void, undefined> {
		// Copies: what decompresses reads ahead.
		if (first.value) yield Buffer.from(first.value.subarray(1));
		for await (const data of body) {
			bytesIn += data.length;
			yield Buffer.from(data);
		}
	}
	if (algorithm === 0) {
		yield* compressed();
		return;
	}
	if (algorithm !== 1 && algorithm !== 2) {
		throw new LifeboatError('UNSUPPORTED_FORMAT', 'The encrypted data is compressed with bzip2 by gpg', {
			hint: 'Decrypt it with the gpg command, or encrypt with "gpg --compress-algo zlib" or none',
		});
	}
	const stream = chain(Readable.from(compressed()), [algorithm === 1 ? createInflateRaw() : createInflate()]);
	let bytesOut = 0;
	try {
		for await (const data of stream as AsyncIterable<Buffer>) {
			bytesOut += data.length;
			if (bytesOut > RATIO_FREE_SIZE + bytesIn * MAX_RATIO) {
				throw damaged(`grows to more than ${MAX_RATIO} times its size when it is decompressed`);
			}
			yield data;
		}
	} catch (error) {
		if (error instanceof LifeboatError) throw error;
		throw damaged('is compressed in a way that can not be undone', error);
	}
}

/** Whether one of these signatures is by a known key (RFC 9580, section 5.4: version 3 has the key's id in it). */
function canVerify(signatures: readonly Buffer[], keys: readonly Key[]): boolean {
	const ids = signatures.filter((each) => each[0] === 3).map((each) => each.toString('hex', 4, 12));
	return keys.some((key) => key.getKeyIDs().some((id) => ids.includes(id.toHex())));
}

/** What the library says of packets that don't belong together; what our own streams say stays as it is. */
function notSigned(error: unknown): never {
	if (error instanceof LifeboatError) throw error;
	throw damaged('is signed in a way that makes no sense', error);
}

/** Has the library check the signatures while the content passes through it. */
async function* verified(
	signatures: readonly Buffer[],
	literal: Packet,
	reader: PacketReader,
	{ verificationKeys }: SignaturePolicy,
): AsyncGenerator<Buffer, void, undefined> {
	async function* message(): AsyncGenerator<Uint8Array, void, undefined> {
		for (const signature of signatures) yield packet(Tag.onePassSignature, signature);
		const writer = new PacketWriter(Tag.literal);
		for await (const data of literal.body) {
			const part = writer.update(data);
			if (part.length > 0) yield part;
		}
		yield writer.final();
		for (let count = 0; ; count++) {
			const next = await reader.next();
			if (!next) return;
			yield packet(Tag.signature, await checkSignature(next, count));
		}
	}
	const { readMessage, verify } = await openPgp();
	const stream = Readable.toWeb(Readable.from(message()));
	const { data, signatures: results } = await verify({
		message: await readMessage({ binaryMessage: stream as never }),
		verificationKeys: [...verificationKeys],
		format: 'binary',
	}).catch(notSigned);
	try {
		for await (const part of data as unknown as AsyncIterable<Uint8Array>) yield Buffer.from(part);
	} catch (error) {
		notSigned(error);
	}
	const known = new Set(verificationKeys.flatMap((key) => key.getKeyIDs().map((id) => id.toHex())));
	let count = 0;
	for (const { keyID, verified: isValid } of results) {
		if (!known.has(keyID.toHex())) continue;
		count += 1;
		await isValid.catch((error: unknown) => {
			throw damaged(`has a signature by the key ${keyID.toHex().toUpperCase()} that is not valid`, error);
		});
	}
	if (count === 0) throw damaged('has lost a signature that it announces');
}
