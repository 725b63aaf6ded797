import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';

import { LifeboatError } from '../../errors';

/** A public key as OpenSSH writes it. */
export interface SshPublicKey {
	type: 'ssh-ed25519' | 'ssh-rsa';
	/** RFC 4253, section 6.6: what stands in Base64 in a line of `authorized_keys`. */
	wire: Buffer;
	key: KeyObject;
}

/** A key pair. The private key of Ed25519 is its seed. */
export interface SshPrivateKey extends SshPublicKey {
	privateKey: KeyObject;
}

/** What age refuses below. */
const MIN_RSA_BITS = 2048;

const LABEL = 'openssh-key-v1\0';

/** Reads the fields of RFC 4251, section 5. */
class Fields {
	private at = 0;

	constructor(private readonly bytes: Buffer) {}

	number(): number {
		const value = this.bytes.readUInt32BE(this.at);
		this.at += 4;
		return value;
	}

	string(): Buffer {
		const length = this.number();
		if (length > this.bytes.length - this.at) throw new RangeError('a field is longer than what holds it');
		this.at += length;
		return this.bytes.subarray(this.at - length, this.at);
	}
}

/** @param text `ssh-ed25519 AAAA... comment`. @throws when it is malformed. */
export function parseSshPublicKey(text: string): SshPublicKey {
	const [, encoded = ''] = text.trim().split(/\s+/);
	const wire = Buffer.from(encoded, 'base64');
	if (wire.toString('base64') !== encoded) throw new TypeError('not Base64');
	return fromWire(wire);
}

/** The line that stands for a public key, without a comment. */
export function sshPublicKeyText({ type, wire }: SshPublicKey): string {
	return `${type} ${wire.toString('base64')}`;
}

function fromWire(wire: Buffer): SshPublicKey {
	const fields = new Fields(wire);
	const type = fields.string().toString('latin1');
	if (type === 'ssh-ed25519') {
		const point = fields.string();
		if (point.length !== 32) throw new RangeError('not an Ed25519 key');
		return { type, wire, key: publicKeyOf({ kty: 'OKP', crv: 'Ed25519', x: point.toString('base64url') }) };
	}
	if (type !== 'ssh-rsa') throw new TypeError('a kind of key that age does not know');
	const [e, n] = [fields.string(), fields.string()].map(unsigned);
	const key = publicKeyOf({ kty: 'RSA', n: n!.toString('base64url'), e: e!.toString('base64url') });
	if ((key.asymmetricKeyDetails?.modulusLength ?? 0) < MIN_RSA_BITS) throw new RangeError('too short');
	return { type, wire, key };
}

/**
 * @param text a private key in PEM, of OpenSSH or not; its line breaks may be lost.
 * @throws LifeboatError `UNSUPPORTED_FORMAT` when it is locked with a passphrase; anything else when it is malformed.
 */
export function parseSshPrivateKey(text: string): SshPrivateKey {
	const [, label = '', body = ''] = /^-----BEGIN ([A-Z ]+)-----([\s\S]*)-----END /.exec(text.trim()) ?? [];
	if (label === 'ENCRYPTED PRIVATE KEY' || body.includes('ENCRYPTED')) throw locked();
	const base64 = body.replaceAll(/\s+/g, '');
	if (label === 'OPENSSH PRIVATE KEY') return fromOpenSsh(Buffer.from(base64, 'base64'));
	const privateKey = createPrivateKey(
		`-----BEGIN ${label}-----\n${base64.match(/.{1,64}/g)?.join('\n')}\n-----END ${label}-----\n`,
	);
	return { ...fromWire(wireOf(privateKey)), privateKey };
}

/** PROTOCOL.key of OpenSSH. */
function fromOpenSsh(bytes: Buffer): SshPrivateKey {
	if (bytes.toString('latin1', 0, LABEL.length) !== LABEL) throw new TypeError('not a key of OpenSSH');
	const outer = new Fields(bytes.subarray(LABEL.length));
	const cipher = outer.string().toString('latin1');
	if (cipher !== 'none') throw locked();
	outer.string();
	outer.string();
	if (outer.number() !== 1) throw new RangeError('more than one key');
	const publicKey = fromWire(outer.string());
	const inner = new Fields(outer.string());
	if (inner.number() !== inner.number()) throw new RangeError('damaged');
	const type = inner.string().toString('latin1');
	if (type !== publicKey.type) throw new TypeError('two kinds of key');
	const jwk = type === 'ssh-rsa' ? rsaKey(inner) : ed25519Key(inner);
	const privateKey = createPrivateKey({ key: jwk, format: 'jwk' });
	if (!wireOf(privateKey).equals(publicKey.wire)) throw new RangeError('public and private key differ');
	return { ...publicKey, privateKey };
}

function ed25519Key(fields: Fields): JsonWebKey {
	const point = fields.string();
	const seed = fields.string().subarray(0, 32);
	return { kty: 'OKP', crv: 'Ed25519', x: point.toString('base64url'), d: seed.toString('base64url') };
}

function rsaKey(fields: Fields): JsonWebKey {
	const [n, e, d, qi, p, q] = Array.from({ length: 6 }, () => unsigned(fields.string())) as [
		Buffer,
		Buffer,
		Buffer,
		Buffer,
		Buffer,
		Buffer,
	];
	const exponent = (prime: Buffer) => {
		const hex = (number(d) % (number(prime) - 1n)).toString(16);
		return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
	};
	const parts = { n, e, d, p, q, dp: exponent(p), dq: exponent(q), qi };
	return {
		kty: 'RSA',
		...Object.fromEntries(Object.entries(parts).map(([name, bytes]) => [name, bytes.toString('base64url')])),
	};
}

function wireOf(privateKey: KeyObject): Buffer {
	const { kty, crv, x, n, e } = createPublicKey(privateKey).export({ format: 'jwk' });
	const bytes = (text: string | undefined) => Buffer.from(text ?? '', 'base64url');
	if (kty === 'RSA') return fieldsOf('ssh-rsa', signed(bytes(e)), signed(bytes(n)));
	if (crv === 'Ed25519') return fieldsOf('ssh-ed25519', bytes(x));
	throw new TypeError('a kind of key that age does not know');
}

function fieldsOf(type: string, ...values: Buffer[]): Buffer {
	return Buffer.concat(
		[Buffer.from(type), ...values].flatMap((value) => {
			const length = Buffer.alloc(4);
			length.writeUInt32BE(value.length);
			return [length, value];
		}),
	);
}

function publicKeyOf(key: JsonWebKey): KeyObject {
	return createPublicKey({ key, format: 'jwk' });
}

/** Numbers have a zero before them where they would look negative. */
const signed = (bytes: Buffer): Buffer =>
	bytes[0]! & 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes;
const unsigned = (bytes: Buffer): Buffer => (bytes[0] === 0 ? bytes.subarray(1) : bytes);
const number = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex')}`);

function locked(): LifeboatError {
	return new LifeboatError(
		'UNSUPPORTED_FORMAT',
		'The SSH key is locked with a passphrase, which is not supported',
		{
			hint: 'Fill in a copy without one, made with "ssh-keygen -p -N \'\' -f <copy of the key>": n8n keeps credentials encrypted',
		},
	);
}
