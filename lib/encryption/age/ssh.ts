import {
	constants,
	createCipheriv,
	createDecipheriv,
	createHash,
	createPrivateKey,
	createPublicKey,
	diffieHellman,
	generateKeyPairSync,
	hkdfSync,
	privateDecrypt,
	publicEncrypt,
	type KeyObject,
} from 'node:crypto';

import { Stanza, type Identity, type Recipient } from 'age-encryption';

import { damaged } from '../failures';

import type { SshPrivateKey, SshPublicKey } from './ssh-keys';

const LABEL_25519 = 'age-encryption.org/v1/ssh-ed25519';

const LABEL_RSA = Buffer.from('age-encryption.org/v1/ssh-rsa');

const FILE_KEY_SIZE = 16;

const TAG_SIZE = 16;

/** The prime of Curve25519. */
const P = 2n ** 255n - 19n;

/** An SSH public key as a recipient of age, with the stanzas that the `age` command writes for it. */
export function sshRecipient(recipient: SshPublicKey): Recipient {
	return {
		wrapFileKey(fileKey) {
			const tag = tagOf(recipient.wire);
			if (recipient.type === 'ssh-rsa') {
				const body = publicEncrypt({ key: recipient.key, ...oaep }, fileKey);
				return [new Stanza(['ssh-rsa', tag], body)];
			}
			const theirs = montgomeryPoint(recipient.key);
			const ephemeral = generateKeyPairSync('x25519');
			const share = rawPublicKey(ephemeral.publicKey);
			const key = wrappingKey(ephemeral.privateKey, theirs, recipient.wire, share, theirs);
			const sealer = createCipheriv('chacha20-poly1305', key, zeroNonce, { authTagLength: TAG_SIZE });
			const body = Buffer.concat([sealer.update(fileKey), sealer.final(), sealer.getAuthTag()]);
			return [new Stanza(['ssh-ed25519', tag, unpadded(share)], body)];
		},
	};
}

/** Its counterpart. */
export function sshIdentity(pair: SshPrivateKey): Identity {
	return {
		unwrapFileKey(stanzas) {
			const tag = tagOf(pair.wire);
			for (const { args, body } of stanzas) {
				if (args[0] !== pair.type) continue;
				if (args.length !== (pair.type === 'ssh-rsa' ? 2 : 3)) throw damaged('has a malformed header');
				if (args[1] !== tag) continue;
				// The tag has 32 bits: another key may have the same by chance.
				const fileKey = pair.type === 'ssh-rsa' ? openRsa(pair, body) : openEd25519(pair, args[2]!, body);
				if (fileKey) return fileKey;
			}
			return null;
		},
	};
}

function openRsa({ privateKey }: SshPrivateKey, body: Uint8Array): Uint8Array | undefined {
	try {
		const fileKey = privateDecrypt({ key: privateKey, ...oaep }, body);
		return fileKey.length === FILE_KEY_SIZE ? fileKey : undefined;
	} catch {
		return undefined;
	}
}

function openEd25519(pair: SshPrivateKey, encoded: string, body: Uint8Array): Uint8Array | undefined {
	const share = Buffer.from(encoded, 'base64');
	if (share.length !== 32 || unpadded(share) !== encoded || body.length !== FILE_KEY_SIZE + TAG_SIZE) {
		throw damaged('has a malformed header');
	}
	const seed = Buffer.from(pair.privateKey.export({ format: 'jwk' }).d ?? '', 'base64url');
	const scalar = createHash('sha512').update(seed).digest().subarray(0, 32);
	const key = wrappingKey(privateKeyOf(scalar), share, pair.wire, share, montgomeryPoint(pair.key));
	const opener = createDecipheriv('chacha20-poly1305', key, zeroNonce, { authTagLength: TAG_SIZE });
	opener.setAuthTag(body.subarray(FILE_KEY_SIZE));
	const fileKey = opener.update(body.subarray(0, FILE_KEY_SIZE));
	try {
		opener.final();
		return fileKey;
	} catch {
		return undefined;
	}
}

/** The age specification's `ssh-ed25519`: a second exchange binds the key to the SSH key, which its point alone doesn't name. */
function wrappingKey(own: KeyObject, peer: Buffer, wire: Buffer, share: Buffer, theirs: Buffer): Buffer {
	const tweak = Buffer.from(hkdfSync('sha256', Buffer.alloc(0), wire, LABEL_25519, 32));
	const shared = exchange(privateKeyOf(tweak), exchange(own, peer));
	return Buffer.from(hkdfSync('sha256', shared, Buffer.concat([share, theirs]), LABEL_25519, 32));
}

function exchange(privateKey: KeyObject, point: Buffer): Buffer {
	const prefix = Buffer.from('302a300506032b656e032100', 'hex');
	const publicKey = createPublicKey({ key: Buffer.concat([prefix, point]), format: 'der', type: 'spki' });
	try {
		return diffieHellman({ privateKey, publicKey });
	} catch (error) {
		throw damaged('has a malformed header', error);
	}
}

function privateKeyOf(scalar: Buffer): KeyObject {
	const prefix = Buffer.from('302e020100300506032b656e04220420', 'hex');
	return createPrivateKey({ key: Buffer.concat([prefix, scalar]), format: 'der', type: 'pkcs8' });
}

/** The point of Curve25519 for an Ed25519 key: u = (1 + y) / (1 - y), RFC 7748 section 4.1. Public, so its timing may vary. */
function montgomeryPoint(key: KeyObject): Buffer {
	const bytes = Buffer.from(rawPublicKey(key)).reverse();
	bytes[0]! &= 0x7f;
	const y = BigInt(`0x${bytes.toString('hex')}`);
	const u = (((1n + y) % P) * power((((1n - y) % P) + P) % P, P - 2n)) % P;
	return Buffer.from(u.toString(16).padStart(64, '0'), 'hex').reverse();
}

function power(base: bigint, exponent: bigint): bigint {
	let result = 1n;
	for (let factor = base, rest = exponent; rest > 0n; rest >>= 1n) {
		if (rest & 1n) result = (result * factor) % P;
		factor = (factor * factor) % P;
	}
	return result;
}

function rawPublicKey(key: KeyObject): Buffer {
	return Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url');
}

const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256', oaepLabel: LABEL_RSA };

const zeroNonce = Buffer.alloc(12);

function tagOf(wire: Buffer): string {
	return unpadded(createHash('sha256').update(wire).digest().subarray(0, 4));
}

function unpadded(bytes: Buffer): string {
	return bytes.toString('base64').replaceAll('=', '');
}
