#!/usr/bin/env node
// Opens backups of n8n-nodes-lifeboat without n8n and without an install: this file and Node 18.19 or newer are enough.
// It is one file on purpose, and shares no code with the package, so that it can lie beside the backups for years.
//   node recover.mjs help
// Whole modules, so that an older Node gets as far as saying that it is too old.
import buffer from 'node:buffer';
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import path from 'node:path';
import readline from 'node:readline';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import tty from 'node:tty';
import util from 'node:util';
import zlib from 'node:zlib';

const HELP = `Opens backups made by n8n-nodes-lifeboat.

  node recover.mjs list [folder]           what lies there, which key each backup needs, and how to open it
  node recover.mjs verify <backup> ...     checksum, decryption, decompression and content, nothing is written;
                                           a folder stands for all backups in it
  node recover.mjs decrypt <backup> [-o f] takes the encryption off, nothing else
  node recover.mjs open <backup> [-o f]    decrypts and decompresses: the SQL, dump or tar file
  node recover.mjs unpack <backup> -C dir  open, and unpack an archive of files into a new folder

Without <backup>, or with -, decrypt and open read standard input and write standard output; "-o -" writes to it, too.

  -i, --identity <file>     age identity or SSH private key; may be given several times
  --passphrase-file <file>  its first line is the passphrase; else LIFEBOAT_PASSPHRASE, else you are asked
  -o, --output <file>       instead of the backup's name without its last extensions
  -C, --directory <folder>  where to unpack; must be new or empty

Files encrypted with OpenPGP (.gpg) are handed to the gpg command, with the keys in its key ring.`;

class Failure extends Error {}

const fail = (message) => {
	throw new Failure(message);
};

const say = (text) => process.stderr.write(`${text}\n`);

// ---------------------------------------------------------------------------------------------------- reading bytes

/** Pulls bytes out of chunks. */
class Source {
	#chunks;
	#held = Buffer.alloc(0);
	#ended = false;

	constructor(chunks) {
		this.#chunks = chunks[Symbol.asyncIterator]();
	}

	async #fill(count) {
		const parts = [this.#held];
		let size = this.#held.length;
		while (size < count && !this.#ended) {
			const { value, done } = await this.#chunks.next();
			if (done) this.#ended = true;
			else {
				parts.push(value);
				size += value.length;
			}
		}
		if (parts.length > 1) this.#held = Buffer.concat(parts);
	}

	/** Fewer only at the end. */
	async peek(count) {
		await this.#fill(count);
		return this.#held.subarray(0, count);
	}

	async take(count) {
		const bytes = await this.peek(count);
		this.#held = this.#held.subarray(bytes.length);
		return bytes;
	}

	/** At least one byte, as they come; none only at the end. */
	async some(most = Infinity) {
		while (this.#held.length === 0 && !this.#ended) await this.#fill(1);
		const bytes = this.#held.subarray(0, Math.min(most, this.#held.length));
		this.#held = this.#held.subarray(bytes.length);
		return bytes;
	}

	putBack(bytes) {
		this.#held = Buffer.concat([bytes, this.#held]);
	}

	async *rest() {
		for (let bytes = await this.some(); bytes.length > 0; bytes = await this.some()) yield bytes;
	}
}

const hkdf = (key, salt, info) => Buffer.from(crypto.hkdfSync('sha256', key, salt, info, 32));

const unpadded = (bytes) => bytes.toString('base64').replaceAll('=', '');

function fromBase64(text) {
	const bytes = Buffer.from(text, 'base64');
	if (unpadded(bytes) !== text) fail('The header of the file is malformed');
	return bytes;
}

/** Opens one sealed piece. Undefined when it is not authentic. */
function openSealed(algorithm, key, nonce, sealed) {
	if (sealed.length < 16) return undefined;
	const opener = crypto.createDecipheriv(algorithm, key, nonce, { authTagLength: 16 });
	opener.setAuthTag(sealed.subarray(-16));
	const plaintext = opener.update(sealed.subarray(0, -16));
	try {
		opener.final();
		return plaintext;
	} catch {
		return undefined;
	}
}

/** Chunks of 64 KiB, each with its number and the mark of the last one in its nonce: the payload of age and of .aes files. */
async function* openPayload(source, algorithm, key) {
	const sealedSize = 64 * 1024 + 16;
	for (let number = 0; ; number++) {
		const sealed = await source.take(sealedSize);
		const last = (await source.peek(1)).length === 0;
		const nonce = Buffer.alloc(12);
		nonce.writeUIntBE(number, 5, 6);
		nonce[11] = last ? 1 : 0;
		const plaintext = openSealed(algorithm, key, nonce, sealed);
		if (!plaintext || (last && plaintext.length === 0 && number > 0)) {
			fail(
				`The file is damaged or cut short near byte ${number * 64 * 1024} of its content. Take another copy`,
			);
		}
		yield plaintext;
		if (last) return;
	}
}

// --------------------------------------------------------------------------------------------------------------- age

const BECH32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';

/** BIP 173. The 32 bytes behind `AGE-SECRET-KEY-1`. */
function decodeIdentity(text) {
	const lower = text.toLowerCase();
	const split = lower.lastIndexOf('1');
	const values = [...lower.slice(split + 1)].map((letter) => BECH32.indexOf(letter));
	const prefix = lower.slice(0, split);
	const expanded = [...prefix].map((c) => c.charCodeAt(0) >> 5);
	expanded.push(0, ...[...prefix].map((c) => c.charCodeAt(0) & 31));
	let check = 1;
	for (const value of [...expanded, ...values]) {
		const top = check >>> 25;
		check = ((check & 0x1ffffff) << 5) ^ value;
		[0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3].forEach((generator, bit) => {
			if ((top >> bit) & 1) check ^= generator;
		});
	}
	if (values.includes(-1) || check !== 1) fail('An age identity is malformed. Copy it again, whole');
	const bits = values
		.slice(0, -6)
		.map((value) => value.toString(2).padStart(5, '0'))
		.join('');
	return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
}

const der = (prefix, bytes) => Buffer.concat([Buffer.from(prefix, 'hex'), bytes]);
const x25519Private = (raw) =>
	crypto.createPrivateKey({
		key: der('302e020100300506032b656e04220420', raw),
		format: 'der',
		type: 'pkcs8',
	});
const x25519Public = (raw) =>
	crypto.createPublicKey({ key: der('302a300506032b656e032100', raw), format: 'der', type: 'spki' });
const rawPublic = (key) => Buffer.from(crypto.createPublicKey(key).export({ format: 'jwk' }).x, 'base64url');
const exchange = (privateKey, point) => crypto.diffieHellman({ privateKey, publicKey: x25519Public(point) });

function x25519Identity(text) {
	const privateKey = x25519Private(decodeIdentity(text));
	const own = rawPublic(privateKey);
	return ({ args, body }) => {
		if (args[0] !== 'X25519') return undefined;
		const share = fromBase64(args[1] ?? '');
		const key = hkdf(
			exchange(privateKey, share),
			Buffer.concat([share, own]),
			'age-encryption.org/v1/X25519',
		);
		return openSealed('chacha20-poly1305', key, Buffer.alloc(12), body);
	};
}

const fieldsOf = (...values) =>
	Buffer.concat(
		values.flatMap((value) => {
			const length = Buffer.alloc(4);
			length.writeUInt32BE(value.length);
			return [length, value];
		}),
	);

/** An SSH private key that is not locked: OpenSSH's own format or PEM. */
function sshIdentity(text, name) {
	const [, label, body] =
		/-----BEGIN ([A-Z ]+)-----([\s\S]*)-----END /.exec(text) ?? fail(`${name} is malformed`);
	let privateKey;
	if (label === 'OPENSSH PRIVATE KEY') {
		const bytes = Buffer.from(body.replaceAll(/\s/g, ''), 'base64');
		let at = 15;
		const number = () => bytes.readUInt32BE((at += 4) - 4);
		const string = () => {
			const length = number();
			return bytes.subarray(at, (at += length));
		};
		const cipher = string().toString();
		if (cipher !== 'none')
			fail(`${name} is locked. Make a copy without passphrase: ssh-keygen -p -N '' -f <copy>`);
		(string(), string(), number(), string(), number(), number(), number());
		const type = string().toString();
		const url = (value) => value.subarray(value[0] === 0 && type === 'ssh-rsa' ? 1 : 0).toString('base64url');
		if (type === 'ssh-ed25519') {
			const [x, d] = [string(), string().subarray(0, 32)];
			privateKey = crypto.createPrivateKey({
				key: { kty: 'OKP', crv: 'Ed25519', x: url(x), d: url(d) },
				format: 'jwk',
			});
		} else if (type === 'ssh-rsa') {
			const [n, e, d, qi, p, q] = Array.from({ length: 6 }, string);
			const big = (value) => BigInt(`0x${value.toString('hex')}`);
			const part = (prime) => {
				const hex = (big(d) % (big(prime) - 1n)).toString(16);
				return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url');
			};
			const key = {
				kty: 'RSA',
				n: url(n),
				e: url(e),
				d: url(d),
				p: url(p),
				q: url(q),
				qi: url(qi),
				dp: part(p),
				dq: part(q),
			};
			privateKey = crypto.createPrivateKey({ key, format: 'jwk' });
		} else fail(`${name} is of the kind ${type}, which age does not know`);
	} else {
		if (text.includes('ENCRYPTED')) fail(`${name} is locked. Make a copy without passphrase`);
		privateKey = crypto.createPrivateKey(text);
	}
	const { kty, crv, x, n, e } = crypto.createPublicKey(privateKey).export({ format: 'jwk' });
	if (kty === 'RSA') {
		const signed = (value) => Buffer.concat([Buffer.alloc(value[0] & 0x80 ? 1 : 0), value]);
		const wire = fieldsOf(
			Buffer.from('ssh-rsa'),
			...[e, n].map((value) => signed(Buffer.from(value, 'base64url'))),
		);
		return ({ args, body: wrapped }) => {
			if (args[0] !== 'ssh-rsa' || args[1] !== tagOf(wire)) return undefined;
			const oaepLabel = Buffer.from('age-encryption.org/v1/ssh-rsa');
			const padding = crypto.constants.RSA_PKCS1_OAEP_PADDING;
			try {
				return crypto.privateDecrypt({ key: privateKey, padding, oaepHash: 'sha256', oaepLabel }, wrapped);
			} catch {
				return undefined;
			}
		};
	}
	if (crv !== 'Ed25519') fail(`${name} is of a kind that age does not know`);
	const wire = fieldsOf(Buffer.from('ssh-ed25519'), Buffer.from(x, 'base64url'));
	const seed = Buffer.from(privateKey.export({ format: 'jwk' }).d, 'base64url');
	const scalar = x25519Private(crypto.createHash('sha512').update(seed).digest().subarray(0, 32));
	const info = 'age-encryption.org/v1/ssh-ed25519';
	return ({ args, body: sealed }) => {
		if (args[0] !== 'ssh-ed25519' || args[1] !== tagOf(wire)) return undefined;
		const share = fromBase64(args[2] ?? '');
		const tweak = x25519Private(hkdf(Buffer.alloc(0), wire, info));
		const shared = exchange(tweak, exchange(scalar, share));
		const key = hkdf(shared, Buffer.concat([share, rawPublic(scalar)]), info);
		return openSealed('chacha20-poly1305', key, Buffer.alloc(12), sealed);
	};
}

const tagOf = (wire) => unpadded(crypto.createHash('sha256').update(wire).digest().subarray(0, 4));

async function readIdentities(files) {
	const identities = [];
	for (const file of files) {
		// Not repeated: what is on the screen gets into logs.
		if (/^\s*AGE-SECRET-KEY-/i.test(file))
			fail('-i takes a file: write the identity into one, where no list of commands shows it');
		const text = await fsp.readFile(file, 'utf8').catch(unreadable(file));
		const known = identities.length;
		if (/PGP PRIVATE KEY/.test(text))
			fail(`${file} is an OpenPGP key, which goes to gpg: gpg --import ${quoted(file)}`);
		if (text.includes('-----BEGIN AGE ENCRYPTED FILE-----')) {
			fail(`${file} is encrypted itself. Decrypt it first: node recover.mjs decrypt ${file} -o key.txt`);
		}
		if (text.includes('PRIVATE KEY-----')) identities.push(sshIdentity(text, file));
		for (const [identity] of text.matchAll(/^[ \t]*AGE-SECRET-KEY-1[A-Z0-9]+/gim))
			identities.push(x25519Identity(identity.trim()));
		if (/^\s*AGE-SECRET-KEY-PQ-/im.test(text)) say(`${file}: post-quantum identities need the age command`);
		else if (identities.length === known) {
			fail(
				`${file} holds no secret key. That is a line which begins with AGE-SECRET-KEY-1, or an SSH private key; age1... and ssh-... are public`,
			);
		}
	}
	return identities;
}

/** Strictly as age has it: whatever is not within the armour would be lost without a word. */
async function* dearmored(source) {
	let state = 'before';
	let held = '';
	let isShort = false;
	for (let isEnd = false; !isEnd;) {
		const data = await source.some();
		isEnd = data.length === 0;
		const lines = (held + data.toString('latin1')).split('\n');
		held = isEnd ? '' : lines.pop();
		if (held.length > 4096) fail('The ASCII armour of the file is damaged');
		let body = '';
		for (const line of lines.map((raw) => raw.trim())) {
			if (state === 'before' && line === '-----BEGIN AGE ENCRYPTED FILE-----') state = 'inside';
			else if (state === 'inside' && line === '-----END AGE ENCRYPTED FILE-----') state = 'after';
			else if (state === 'inside' && !isShort && /^(?=.{4,64}$)[A-Za-z0-9+/]+={0,2}$/.test(line)) {
				isShort = line.length < 64 || line.endsWith('=');
				body += line;
			} else if (line !== '' || state === 'inside') fail('The ASCII armour of the file is damaged');
		}
		if (body !== '') yield Buffer.from(body, 'base64');
	}
	if (state !== 'after') fail('The file ends before the last line of its ASCII armour');
}

async function* openAge(source, keys) {
	let binary = source;
	if ((await source.peek(1)).toString('latin1') !== 'a') binary = new Source(dearmored(source));
	const limit = 512 * 1024;
	let start = Buffer.alloc(0);
	let end = -1;
	for (let size = 4096; end === -1; size *= 4) {
		start = await binary.peek(Math.min(size, limit));
		const footer = start.indexOf('\n---');
		end = footer === -1 ? -1 : start.indexOf('\n', footer + 1);
		if (end === -1 && (start.length < size || size >= limit))
			fail('The header of the file is damaged or cut short');
	}
	const header = (await binary.take(end + 1)).toString('latin1');
	const [, stanzaText, mac] =
		/^age-encryption\.org\/v1\n([\s\S]*)--- (.{43})\n$/.exec(header) ?? fail('The file is no age v1 file');
	const stanzas = [
		...stanzaText.matchAll(/-> ([^\n]+)\n((?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{0,63}\n)/g),
	].map(([, args, body]) => ({ args: args.split(' '), body: fromBase64(body.replaceAll('\n', '')) }));
	if (stanzas.length > 256) fail('The file has more recipients than are accepted');
	const fileKey = await unwrapFileKey(stanzas, keys);
	const expected = crypto
		.createHmac('sha256', hkdf(fileKey, '', 'header'))
		.update(header.slice(0, -mac.length - 2), 'latin1')
		.digest();
	if (unpadded(expected) !== mac) fail('The header of the file was changed. Take another copy');
	const key = hkdf(fileKey, await binary.take(16), 'payload');
	yield* openPayload(binary, 'chacha20-poly1305', key);
}

async function unwrapFileKey(stanzas, keys) {
	const scrypt = stanzas.find(({ args }) => args[0] === 'scrypt');
	if (scrypt) {
		const [, salt, factor] = scrypt.args;
		if (stanzas.length > 1 || !/^[1-9]\d?$/.test(factor) || Number(factor) > 22)
			fail('The header of the file is malformed');
		const N = 2 ** Number(factor);
		const label = Buffer.concat([Buffer.from('age-encryption.org/v1/scrypt'), fromBase64(salt)]);
		const wrappingKey = crypto.scryptSync(await keys.passphrase(), label, 32, {
			N,
			r: 8,
			p: 1,
			maxmem: 1024 * (N + 16),
		});
		return (
			openSealed('chacha20-poly1305', wrappingKey, Buffer.alloc(12), scrypt.body) ??
			fail('The passphrase does not open the backup')
		);
	}
	const identities = await keys.identities();
	if (identities.length === 0)
		fail('The backup is encrypted for age recipients: give the identity with -i <file>');
	for (const stanza of stanzas) {
		for (const identity of identities) {
			const fileKey = identity(stanza);
			if (fileKey?.length === 16) return fileKey;
		}
	}
	return fail('None of the identities opens the backup: see "list" for the recipients it is encrypted for');
}

// ------------------------------------------------------------------------------------------------------- AES-256-GCM

/** docs/aes-256-gcm-format.md of the package describes each byte. */
async function* openAes(source, keys) {
	const header = await source.take(80);
	if (header.length < 80 || header[8] !== 1) fail('The header of the file is damaged, or of a newer version');
	const parameters = header.subarray(0, 48);
	const cost = parameters.readUInt32BE(12);
	const salt = parameters.subarray(16);
	const bounded =
		header[9] === 1 ? cost >= 100_000 && cost <= 10_000_000 : header[9] === 2 && cost >= 10 && cost <= 20;
	if (!bounded) fail('The header of the file is malformed');
	const password = await keys.passphrase();
	const passwordKey =
		header[9] === 1
			? crypto.pbkdf2Sync(password, salt, cost, 32, 'sha256')
			: crypto.scryptSync(password, salt, 32, { N: 2 ** cost, r: 8, p: 1, maxmem: 1024 * (2 ** cost + 16) });
	const derived = (use) => hkdf(passwordKey, parameters, `lifeboat aes-256-gcm v1 ${use}`);
	const mac = crypto.createHmac('sha256', derived('header')).update(parameters).digest();
	if (!crypto.timingSafeEqual(mac, header.subarray(48)))
		fail('The passphrase does not open the backup, or its header was changed');
	yield* openPayload(source, 'aes-256-gcm', derived('payload'));
}

// ------------------------------------------------------------------------------------------------ commands, decoders

/**
 * Sends bytes through a command. It fails unless the command ends with status 0, or with another one that `isFine` forgives.
 *
 * @param options what it gets through descriptor 3; `isFine` is asked about what it says through descriptor 4.
 */
async function* through(command, args, source, { passphrase, isFine, hint }) {
	const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit', 'pipe', 'pipe'] });
	let notStarted = false;
	let said = '';
	const closed = new Promise((resolve) => {
		child.on('error', () => {
			notStarted = true;
			resolve(-1);
		});
		child.on('close', resolve);
	});
	child.stdio[4].on('data', (data) => (said += data.toString('latin1'))).on('error', () => {});
	child.stdio[3].on('error', () => {}).end(passphrase === undefined ? '' : `${passphrase}\n`);
	// A command that ends early says why by its status; what the bytes themselves fail with counts more.
	let unread;
	const bytes = async function* () {
		try {
			yield* source.rest();
		} catch (error) {
			unread = error;
			// Before it meets an end of its input that is none, and complains of that.
			child.kill();
			throw error;
		}
	};
	const fed = pipeline(Readable.from(bytes()), child.stdin).catch(() => {});
	yield* child.stdout;
	const status = await closed;
	if (notStarted)
		fail(`The command ${command} is missing: apt install ${command === 'gpg' ? 'gnupg' : command}. ${hint}`);
	if (status !== 0) child.stdin.destroy();
	await fed;
	if (unread) throw unread;
	if (status !== 0 && !isFine?.(said))
		fail(`The command ${command} failed. What it wrote must not be used. ${hint}`);
}

/** gpg ends with 2 for want of the public key of who signed, too: all of it was decrypted and is authentic all the same. */
function isOnlyUnsigned(said) {
	const lines = said.split('\n').map((line) => line.replace('[GNUPG:] ', ''));
	const has = (pattern) => lines.some((line) => pattern.test(line));
	const unsigned =
		has(/^DECRYPTION_OKAY/) &&
		has(/^NO_PUBKEY /) &&
		// The sixth field is the reason: 9 is a missing key.
		lines.every((line) => !line.startsWith('ERRSIG ') || line.split(' ')[6] === '9') &&
		!has(/^(?:BADSIG|BADMDC|DECRYPTION_FAILED|EXPSIG|REVKEYSIG|NODATA|UNEXPECTED|FAILURE (?!gpg-exit))/);
	if (unsigned) say('It is signed with a key that gpg does not know: who made it was not checked');
	return unsigned;
}

async function* openPgp(source, keys) {
	const passphrase = keys.givenPassphrase();
	const args = [
		...['--quiet', '--status-fd', '4'],
		...(passphrase === undefined ? [] : ['--batch', '--pinentry-mode', 'loopback', '--passphrase-fd', '3']),
	];
	const hint = 'By hand: gpg --import <private key>, then gpg --decrypt <backup>';
	yield* through('gpg', [...args, '--decrypt'], source, { passphrase, isFine: isOnlyUnsigned, hint });
}

/** Gives an engine of node:zlib what it takes, and hands back what lies behind the end of a frame. */
async function feed(engine, source) {
	const ended = new Promise((resolve) => engine.once('end', resolve).once('close', resolve));
	for (let data = await source.some(); data.length > 0; data = await source.some()) {
		const before = engine.bytesWritten;
		const left = () => data.subarray(engine.bytesWritten - before);
		// Where a frame ends within the data, this is called early, late or never.
		const taken = new Promise((resolve) =>
			engine.write(data, (error) => error || left().length > 0 || resolve()),
		);
		await Promise.race([taken, ended]);
		if (engine.errored) return;
		if (left().length > 0) return source.putBack(left());
	}
	engine.end();
}

/** node:zlib ends where a zstd frame does, though another one follows: each gets an engine of its own. */
async function* decompressed(source, createEngine) {
	do {
		const engine = createEngine();
		let failure;
		// What the bytes themselves fail with counts more than what is made of it.
		const fed = feed(engine, source).catch((error) => {
			failure = error;
			engine.destroy(error);
		});
		try {
			yield* engine;
		} catch (error) {
			if (failure) throw failure;
			fail(`The file is damaged or cut short: it does not decompress (${error.message})`);
		}
		await fed;
		if (failure) throw failure;
	} while ((await source.peek(1)).length > 0);
}

const decoders = {
	age: openAge,
	'aes-256-gcm': openAes,
	openpgp: openPgp,
	gzip: (source) => decompressed(source, () => zlib.createGunzip()),
	zstd: (source) =>
		zlib.createZstdDecompress
			? decompressed(source, () => zlib.createZstdDecompress())
			: through('zstd', ['-dc'], source, {
					hint: 'Node 22.15 or newer needs no such command',
				}),
};

const isEncryption = (format) => ['age', 'aes-256-gcm', 'openpgp'].includes(format);

/** What a file is, by its first bytes. */
async function formatOf(source) {
	const start = await source.peek(64);
	const text = start.toString('latin1');
	if (text.startsWith('age-encryption.org/') || /^\s*-----BEGIN AGE ENCRYPTED FILE/.test(text)) return 'age';
	if (text.startsWith('LBAESGCM')) return 'aes-256-gcm';
	if (start[0] === 0x1f && start[1] === 0x8b) return 'gzip';
	if (start.length >= 4 && start.readUInt32LE(0) === 0xfd2fb528) return 'zstd';
	if (/^\s*-----BEGIN PGP MESSAGE/.test(text)) return 'openpgp';
	const tag = start[0] & 0x40 ? start[0] & 0x3f : (start[0] >> 2) & 15;
	if (start[0] & 0x80 && [1, 3].includes(tag)) return 'openpgp';
	return undefined;
}

/**
 * Undoes what was done to the content.
 *
 * @param steps the manifest's formats in the order of undoing; undefined: whatever the bytes look like.
 */
async function decoded(source, keys, steps, until = () => true) {
	let current = source;
	const undone = [];
	for (let index = 0; ; index++) {
		const format = steps ? steps[index] : await formatOf(current);
		if (format === undefined || !until(format)) return { source: current, undone };
		if (!decoders[format]) fail(`This script does not know the format ${format}`);
		undone.push(format);
		current = new Source(decoders[format](current, keys));
	}
}

// ----------------------------------------------------------------------------------------------------------- backups

const isDigest = (value) => Number.isSafeInteger(value?.size) && /^[0-9a-f]{64}$/.test(value.sha256);

/** @returns undefined if there is none. */
async function readManifest(file) {
	const text = await readIfThere(`${file}.manifest.json`);
	if (text === undefined) return undefined;
	const without = 'Move it away to go on without it';
	let manifest;
	try {
		manifest = JSON.parse(text);
	} catch {
		fail(`${file}.manifest.json is damaged. ${without}`);
	}
	if (manifest?.formatVersion > 1)
		fail(`${file}.manifest.json is of a newer version than this script. Take a newer one, or: ${without}`);
	const { transformations, content, stored } = manifest ?? {};
	const isWhole = isDigest(content) && isDigest(stored) && Array.isArray(transformations);
	if (!isWhole || !transformations.every((each) => typeof each?.format === 'string'))
		fail(`${file}.manifest.json is no manifest of a backup. ${without}`);
	return manifest;
}

/** What lies beside a backup must not count as missing only because it can't be read. */
const readIfThere = (file) =>
	fsp
		.readFile(file, 'utf8')
		.catch((error) => (error.code === 'ENOENT' ? undefined : unreadable(file)(error)));

const unreadable = (file) => (error) =>
	fail(error.code === 'ENOENT' ? `${file} does not exist` : `${file} could not be read: ${error.message}`);

/** The SHA-256 that the checksum file beside a backup says; undefined if there is none. */
async function readChecksumFile(file) {
	const text = await readIfThere(`${file}.sha256`);
	if (text === undefined) return undefined;
	return (
		/^\\?([0-9a-fA-F]{64}) [ *]/.exec(text)?.[1].toLowerCase() ??
		fail(`${file}.sha256 is damaged. Move it away to go on without it`)
	);
}

const stepsOf = (manifest) => manifest?.transformations.map(({ format }) => format).reverse();

/** Counts and hashes what passes. */
function measured(chunks, digest) {
	const hash = crypto.createHash('sha256');
	digest.size = 0;
	return (async function* () {
		for await (const data of chunks) {
			hash.update(data);
			digest.size += data.length;
			yield data;
		}
		digest.sha256 = hash.digest('hex');
	})();
}

function compare(what, found, expected) {
	if (found.size !== expected.size || found.sha256 !== expected.sha256) {
		fail(
			`The ${what} is damaged: it has ${found.size} bytes and SHA-256 ${found.sha256}, not ${expected.size} and ${expected.sha256}. Take another copy`,
		);
	}
}

/** Opens a backup. `finish` compares with the manifest, or else with the checksum file, once all was read. */
async function openBackup(file, keys, until) {
	const manifest = file === undefined ? undefined : await readManifest(file);
	const sha256 = file === undefined || manifest ? undefined : await readChecksumFile(file);
	const stored = {};
	const content = {};
	const stream =
		file === undefined ? process.stdin : fs.createReadStream(file, { highWaterMark: 1024 * 1024 });
	const source = new Source(measured(stream, stored));
	const { source: last, undone } = await decoded(source, keys, stepsOf(manifest), until);
	return {
		...{ manifest, sha256, undone, content, stored },
		chunks: measured(last.rest(), content),
		async finish() {
			await this.compareFile();
			if (manifest && undone.length === manifest.transformations.length)
				compare('content', content, manifest.content);
		},
		/** Only the bytes as they lie there, also where they could not be opened. */
		async compareFile() {
			for await (const rest of source.rest()) void rest;
			if (stored.size === 0) fail(`${file ?? 'The input'} is empty. Take another copy`);
			if (sha256 !== undefined) compare('file', stored, { size: stored.size, sha256 });
			if (manifest) compare('file', stored, manifest.stored);
		},
	};
}

/** A name that nothing has, beside the final one: what lies there under other names is not ours to remove. */
const partOf = (target) => `${target}.${crypto.randomBytes(6).toString('hex')}.part`;

function refuseTaken(target) {
	if (fs.existsSync(target)) fail(`${target} exists. Choose another name with -o`);
	if (!fs.existsSync(path.dirname(target))) fail(`The folder ${path.dirname(target)} does not exist`);
}

/** The final name only ever stands for whole content, and never for less than lay there before. */
async function writeWhole(target, backup) {
	if (target === '-') {
		for await (const data of backup.chunks)
			if (!process.stdout.write(data)) await new Promise((r) => process.stdout.once('drain', r));
		await backup.finish();
		return;
	}
	const part = partOf(target);
	try {
		await pipeline(Readable.from(backup.chunks), fs.createWriteStream(part, { mode: 0o600, flags: 'wx' }));
		await backup.finish();
		// Unlike a rename, a second name replaces nothing. Not every file system has such.
		await fsp.link(part, target).catch((error) => {
			refuseTaken(target);
			if (error.code === 'EEXIST') throw error;
			return fsp.rename(part, target);
		});
	} finally {
		await fsp.rm(part, { force: true });
	}
	say(`${target}: ${backup.content.size} bytes, SHA-256 ${backup.content.sha256}`);
}

function nameWithout(file, undone) {
	let name = path.basename(file);
	for (let count = 0; count < undone.length; count++)
		name = name.replace(/\.(age|aes|gpg|asc|pgp|zst|gz)$/, '');
	return name === path.basename(file) ? `${name}.out` : name;
}

const BACKUP_NAME = /\.(?:sql|dump|tar)(?:\.(?:gz|zst))?(?:\.(?:age|aes|gpg|asc|pgp))*$/;

/** The backup that a name stands for: its own, or that of the manifest or checksum file beside it. */
const backupOf = (name) => name.replace(/\.(?:manifest\.json|sha256)$/, '');

/** One closed folder, such as lost+found on a disk, hides no other, and is told of. */
async function* filesIn(folder, closed = unreadable(folder)) {
	const entries = await fsp.readdir(folder, { withFileTypes: true }).catch(closed);
	for (const entry of entries ?? []) {
		const file = path.join(folder, entry.name);
		if (!entry.isDirectory()) yield file;
		else {
			yield* filesIn(file, (error) => {
				say(`${file} could not be read, so what lies there is left out: ${error.message}`);
				process.exitCode = 1;
			});
		}
	}
}

/** All backups in a folder and those below it, also those that only a manifest is left of. */
async function backupsIn(folder) {
	const names = new Set();
	for await (const file of filesIn(folder)) names.add(path.relative(folder, file));
	const backups = [...names].map(backupOf).filter((name) => {
		return names.has(`${name}.manifest.json`) || (names.has(name) && BACKUP_NAME.test(name));
	});
	if (backups.length === 0) fail(`There is no backup in ${folder}`);
	return [...new Set(backups)].sort().map((name) => path.join(folder, name));
}

async function list(folder) {
	const isFile = fs.existsSync(folder) && !fs.statSync(folder).isDirectory();
	const backups = isFile ? [backupOf(folder)] : await backupsIn(folder);
	let problems = 0;
	for (const file of backups) {
		try {
			if (!(await listOne(file))) problems += 1;
		} catch (error) {
			if (!(error instanceof Failure)) throw error;
			console.log(`${file}\n  ${error.message}`);
			problems += 1;
		}
	}
	if (problems > 0) fail(`${problems} of ${backups.length} are not as they should be`);
}

/** @returns whether it is as its manifest says, as far as can be told without reading it. */
async function listOne(file) {
	const manifest = await readManifest(file);
	const stat = await fsp.stat(file).catch(() => undefined);
	if (!manifest) {
		console.log(`${file}\n  ${stat?.size} bytes, NO MANIFEST: verify, open and unpack work all the same`);
		return stat?.size > 0;
	}
	const isWhole = stat?.size === manifest.stored.size;
	const size = !stat ? 'MISSING' : `${stat.size} bytes${isWhole ? '' : `, NOT ${manifest.stored.size}`}`;
	console.log(`${file}\n  ${manifest.name}, ${manifest.kind}, ${manifest.createdAt}, ${size}`);
	for (const { type, format, recipients, passphrase } of manifest.transformations) {
		if (type !== 'encryption') continue;
		for (const recipient of recipients ?? []) console.log(`  ${format}: opened by the key of ${recipient}`);
		if (passphrase) console.log(`  ${format}: opened by a passphrase`);
	}
	console.log(`  > ${commandFor(file, manifest)}`);
	for (const command of manifest.restoreCommands ?? []) console.log(`  $ ${command}`);
	return isWhole;
}

/** What opens a backup with this script. */
function commandFor(file, manifest) {
	const keys = manifest.transformations.flatMap(({ type, format, recipients }) => {
		if (type !== 'encryption' || (format === 'openpgp' && recipients?.length)) return [];
		return recipients?.length ? ['-i <identity file>'] : ['--passphrase-file <passphrase file>'];
	});
	const [command, ...target] = manifest.format === 'tar' ? ['unpack', '-C <new folder>'] : ['open'];
	return ['node recover.mjs', command, quoted(file), ...new Set(keys), ...target].join(' ');
}

/** As a POSIX shell takes it. */
const quoted = (text) => (/^[\w./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** What comes after "open", by the first bytes of the content. */
async function nextFor(source, manifest, file) {
	const format = manifest?.format ?? (await contentOf(source));
	const start = (await source.peek(64)).toString('latin1');
	if (format === 'tar') return 'it is an archive of files, which "unpack" unpacks';
	const byContent = /^-- PostgreSQL database cluster dump\r?$/m.test(start)
		? 'psql --no-psqlrc --set ON_ERROR_STOP=1 --dbname postgres'
		: {
				'plain-sql': 'psql --no-psqlrc --single-transaction --set ON_ERROR_STOP=1 --dbname <empty database>',
				'pg-custom': 'pg_restore --single-transaction --exit-on-error --dbname <empty database>',
			}[format];
	const command = manifest?.restoreCommands?.at(-1)?.split(' | ').at(-1).split(' < ')[0] ?? byContent;
	if (command === undefined) return undefined;
	// Behind the letters PGDMP stands the version of the archive; pg_restore of a system may be older than its server.
	const version = format === 'pg-custom' && start.charCodeAt(5) === 1 ? start.charCodeAt(6) : 0;
	const needs = version > 15 ? 17 : 16;
	const note = `\n  (pg_restore ${needs} or newer; an older one says: unsupported version)`;
	return `${command} < ${quoted(file)}${version < 15 ? '' : note}`;
}

/** What content is, by its first bytes. */
async function contentOf(source) {
	const start = await source.peek(512);
	const text = start.toString('latin1');
	if (text.startsWith('PGDMP')) return 'pg-custom';
	if (/^-- PostgreSQL database (?:cluster )?dump\r?$/m.test(text)) return 'plain-sql';
	return start.length === 512 && (isZero(start) || isHeader(start)) ? 'tar' : undefined;
}

/** Reads content to its end, and says what of its own format is proven. */
const contentChecks = {
	async tar(source, entries) {
		const found = [];
		let count = 0;
		for await (const { name } of tarEntries(source)) {
			safePath('.', name);
			if (entries && found.length <= entries.length + 1) found.push(name);
			count += 1;
		}
		const expected = entries && ['manifest.json', ...entries.map(({ path }) => path)];
		if (expected && expected.join('\n') !== found.join('\n'))
			fail('The bundle does not hold the backups that its manifest names');
		return `an archive of ${count} entries, with its end`;
	},
	async 'plain-sql'(source) {
		const hasHeader = (await contentOf(source)) === 'plain-sql';
		let end = '';
		for await (const data of source.rest())
			end = (end + data.subarray(-1024).toString('latin1')).slice(-1024);
		if (!hasHeader || !/^-- PostgreSQL database (?:cluster )?dump complete\r?$/m.test(end))
			fail(`The dump has no ${hasHeader ? 'last' : 'first'} line as pg_dump writes it: it is not whole`);
		return 'a SQL dump with its last line';
	},
	async 'pg-custom'(source) {
		if ((await contentOf(source)) !== 'pg-custom') fail('The content is no archive of pg_dump');
		for await (const rest of source.rest()) void rest;
		return 'an archive of pg_dump; pg_restore -f /dev/null decodes its rows, which this script does not';
	},
};

async function verify(file, keys) {
	if (!fs.existsSync(file)) fail(`${file} does not exist`);
	const backup = await openBackup(file, keys);
	const { manifest, sha256, undone, content } = backup;
	const source = new Source(backup.chunks);
	const check = contentChecks[manifest?.format ?? (await contentOf(source))];
	let notWhole;
	const entries = manifest?.kind === 'bundle' ? (manifest.entries ?? []) : undefined;
	const kind = await check?.(source, entries).catch((error) => {
		notWhole = error;
	});
	if (notWhole) {
		// Bytes that changed where they lie say more than what comes of them.
		await backup.compareFile();
		throw notWhole;
	}
	for await (const rest of source.rest()) void rest;
	await backup.finish();
	const isTold = manifest !== undefined || sha256 !== undefined || undone.length > 0;
	if (!isTold && (check === undefined || check === contentChecks['pg-custom']))
		fail(`Nothing tells whether ${file} is whole: it has no manifest and no checksum file beside it`);
	const proven = manifest
		? 'file and content are what the manifest says'
		: `there is no manifest to compare it with${sha256 === undefined ? '' : ', but it has the SHA-256 of the checksum file'}`;
	console.log(`${file}: opens to its end (${undone.join(', ') || 'nothing to undo'}); ${proven}`);
	console.log(`content: ${content.size} bytes, SHA-256 ${content.sha256}`);
	console.log(
		`content: ${kind ?? 'of a kind that this script does not know, so nothing says that it is whole'}`,
	);
}

async function verifyAll(files, keys) {
	if (files.length === 1) return verify(files[0], keys);
	let failures = 0;
	for (const file of files) {
		try {
			await verify(file, keys);
		} catch (error) {
			say(`${file}: ${describe(error)}`);
			failures += 1;
		}
	}
	if (failures > 0) fail(`${failures} of ${files.length} ${failures === 1 ? 'does' : 'do'} not hold`);
}

// --------------------------------------------------------------------------------------------------------------- tar

const isZero = (bytes) => bytes.every((byte) => byte === 0);

function isHeader(block) {
	const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
	return /^ *[0-7]+[ \0]*$/.test(block.toString('latin1', 148, 156)) && sum === tarNumber(block, 148, 8);
}

function tarText(block, start, length) {
	const bytes = block.subarray(start, start + length);
	const end = bytes.indexOf(0);
	const text = bytes.subarray(0, end === -1 ? length : end);
	// Another name would be a wrong name.
	if (!buffer.isUtf8(text)) fail('The archive has a name that is not UTF-8: unpack it with tar');
	return text.toString('utf8');
}

function tarNumber(block, start, length) {
	if (block[start] & 0x80) {
		const value = BigInt.asIntN(8 * length - 1, BigInt(`0x${block.toString('hex', start, start + length)}`));
		return Number.isSafeInteger(Number(value)) ? Number(value) : fail('The archive is damaged');
	}
	const text = block.toString('latin1', start, start + length);
	if (!/^ *[0-7]*[ \0]*$/.test(text)) fail('The archive is damaged');
	return parseInt(text.trim() || '0', 8) || 0;
}

function paxRecords(bytes) {
	const records = {};
	for (let at = 0; at < bytes.length;) {
		const space = bytes.indexOf(0x20, at);
		const length = Number(bytes.toString('latin1', at, space));
		if (!(length > 0) || at + length > bytes.length) fail('The archive is damaged');
		const [, key, value] =
			/^([^=]+)=([\s\S]*)\n$/.exec(tarText(bytes, space + 1, at + length - space - 1)) ??
			fail('The archive is damaged');
		if (key.startsWith('GNU.sparse.')) fail('The archive has a sparse file: unpack it with tar');
		if (key === 'size' && !/^\d{1,16}$/.test(value)) fail('The archive is damaged');
		records[key] = value;
		at += length;
	}
	return records;
}

/** The entries of an archive. It ends only where the archive does: two blocks of zeros, and nothing behind them. */
async function* tarEntries(source) {
	const cut = 'The archive ends before its real end';
	const exactly = async (length) => {
		const bytes = await source.take(length);
		return bytes.length === length ? bytes : fail(cut);
	};
	let pax = {};
	for (;;) {
		const block = await exactly(512);
		if (isZero(block)) break;
		if (!isHeader(block)) fail('The archive is damaged');
		const flag = block[156] === 0 ? '0' : String.fromCharCode(block[156]);
		const size = pax.size === undefined ? tarNumber(block, 124, 12) : Number(pax.size);
		if (size < 0) fail('The archive is damaged');
		const padding = (512 - (size % 512)) % 512;
		if ('xgLK'.includes(flag)) {
			if (size > 1024 * 1024) fail('The archive is damaged');
			const bytes = (await exactly(size + padding)).subarray(0, size);
			if (flag === 'L') pax.path = tarText(bytes, 0, size);
			else if (flag === 'K') pax.linkpath = tarText(bytes, 0, size);
			else if (flag === 'x') pax = { ...pax, ...paxRecords(bytes) };
			else if (['path', 'linkpath', 'size'].some((key) => key in paxRecords(bytes)))
				fail(
					'The archive has a header for all its entries that this script does not know: unpack it with tar',
				);
			continue;
		}
		const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? tarText(block, 345, 155) : '';
		const name = pax.path ?? (prefix ? `${prefix}/` : '') + tarText(block, 0, 100);
		let missing = size;
		const body = async function* () {
			while (missing > 0) {
				const data = await source.some(missing);
				if (data.length === 0) fail(cut);
				missing -= data.length;
				yield data;
			}
		};
		// Before folders had a letter of their own, a slash stood for one.
		const kind = (flag === '0' || flag === '7') && name.endsWith('/') ? '5' : flag;
		if (size > 0 && '1256'.includes(kind))
			fail('The archive is damaged: something that is no file has a size');
		yield {
			...{ name, size, body },
			flag: kind,
			linkName: pax.linkpath ?? tarText(block, 157, 100),
			mode: tarNumber(block, 100, 8) & 0o777,
			mtime: pax.mtime === undefined ? tarNumber(block, 136, 12) : Number(pax.mtime),
		};
		for await (const rest of body()) void rest;
		await exactly(padding);
		pax = {};
	}
	if (Object.keys(pax).length > 0 || !isZero(await exactly(512))) fail('The archive is damaged near its end');
	for await (const rest of source.rest()) if (!isZero(rest)) fail('Something follows the end of the archive');
}

/** The path of an entry within the folder. Nothing may lead out of it. */
function safePath(folder, name) {
	const parts = name.split('/').filter((part) => part !== '' && part !== '.');
	const isForeign = process.platform === 'win32' && /[\\:*?"<>|]/.test(name);
	if (name.startsWith('/') || parts.includes('..') || name.includes('\0') || isForeign) {
		fail(`The archive has the entry ${JSON.stringify(name)}, which would lead out of the folder`);
	}
	return path.join(folder, ...parts);
}

/** Whether a link leads to within the folder, wherever others do: behind a name, which may be a link itself, `..` leads anywhere. */
function staysWithin(folder, link, text) {
	const ups = /^(?:\.{0,2}\/)*/.exec(`${text}/`)[0].length;
	if (path.isAbsolute(text) || `${text}/`.slice(ups).split(/[/\\]/).includes('..')) return false;
	const reached = path.resolve(path.dirname(link), text);
	return reached === folder || reached.startsWith(folder + path.sep);
}

/** Unpacks into a folder that was empty. Links are made last, so that nothing is ever written through one. */
async function unpackTar(source, folder) {
	const hardLinks = [];
	const softLinks = [];
	const folders = [];
	const counts = { files: 0, leftOut: 0 };
	for await (const { name, flag, linkName, mode, mtime, body } of tarEntries(source)) {
		const target = safePath(folder, name);
		await fsp.mkdir(flag === '5' ? target : path.dirname(target), { recursive: true }).catch(takenName(name));
		if (flag === '0' || flag === '7') {
			const file = fs.createWriteStream(target, { flags: 'wx', mode: 0o600 });
			await pipeline(Readable.from(body()), file).catch(takenName(name));
			await fsp.chmod(target, mode);
			await fsp.utimes(target, mtime, mtime);
			counts.files += 1;
		} else if (flag === '5') folders.push({ name: path.relative(folder, target), mode, mtime });
		else if (flag === '1') hardLinks.push({ target, to: safePath(folder, linkName) });
		else if (flag === '2') softLinks.push({ target, text: linkName });
		else fail(`The archive has the entry ${JSON.stringify(name)} of a kind that is not unpacked`);
	}
	for (const { target, to } of hardLinks) await fsp.link(to, target).catch(takenName(target));
	counts.files += hardLinks.length;
	for (const { target, text } of softLinks) {
		if (staysWithin(folder, target, text)) await fsp.symlink(text, target).catch(takenName(target));
		else {
			say(`Left out: ${path.relative(folder, target)} -> ${text}, a link that leads out of the folder`);
			counts.leftOut += 1;
		}
	}
	return { ...counts, folders };
}

const takenName = (name) => (error) => {
	if (!['EEXIST', 'ENOTDIR'].includes(error.code)) throw error;
	fail(`The archive has ${name} twice here: unpack it with tar, where upper and lower case are told apart`);
};

/** Gives folders their permissions and times, once all is in them. */
async function finishFolders(folders, root) {
	// From the deepest up: in a closed folder nothing can be changed any more.
	for (const { name, mode, mtime } of folders.sort((a, b) => b.name.length - a.name.length)) {
		const target = path.join(root, name);
		await fsp.chmod(target, mode);
		await fsp.utimes(target, mtime, mtime);
	}
}

/** Puts beside each backup of a bundle the manifest that the bundle has of it. */
async function writeInnerManifests(folder, manifest) {
	const inner = path.join(folder, 'manifest.json');
	const text = manifest ? undefined : await fsp.readFile(inner, 'utf8').catch(() => undefined);
	let bundle = manifest;
	try {
		bundle ??= JSON.parse(text ?? 'null');
	} catch {
		// A file of that name that is no manifest of ours.
	}
	if (bundle?.kind !== 'bundle' || !Array.isArray(bundle.entries)) return [];
	for (const entry of bundle.entries) {
		const file = safePath(folder, entry.path);
		if (!fs.existsSync(file)) fail(`The bundle does not hold ${entry.path}, which its manifest names`);
		const own = { ...entry.manifest, fileName: entry.path };
		await fsp.writeFile(`${file}.manifest.json`, JSON.stringify(own, null, 2), { flag: 'wx', mode: 0o600 });
	}
	return bundle.entries;
}

/** The folder to unpack into, if it is there: it must be empty. */
async function emptyFolder(target) {
	const stat = await fsp.stat(target).catch((error) => {
		if (error.code === 'ENOENT') return undefined;
		return fail(`${target} could not be read: ${error.message}`);
	});
	if (stat && !stat.isDirectory()) fail(`${target} is a file. Choose a new folder with -C`);
	if (stat && (await fsp.readdir(target)).length > 0)
		fail(`${target} is not empty. Choose a new folder with -C`);
	return stat !== undefined;
}

async function unpack(file, keys, directory) {
	if (directory === undefined) fail('Say where to: -C <new folder>');
	const target = path.resolve(directory);
	const isThere = await emptyFolder(target);
	const backup = await openBackup(file, keys);
	const source = new Source(backup.chunks);
	const format = backup.manifest?.format ?? (await contentOf(source));
	if (format === 'plain-sql' || format === 'pg-custom') {
		fail(`${file} holds no files but a database: node recover.mjs open ${quoted(file)}`);
	}
	// Under its name only once all of it was proven.
	const part = partOf(isThere ? path.join(target, 'unpacking') : target);
	let counts;
	let entries;
	try {
		await fsp.mkdir(path.dirname(part), { recursive: true });
		await fsp.mkdir(part, { mode: 0o700 });
		counts = await unpackTar(source, part);
		await backup.finish();
		entries = await writeInnerManifests(part, backup.manifest);
		if (isThere) {
			for (const name of await fsp.readdir(part)) {
				if (fs.existsSync(path.join(target, name))) fail(`Something else was put into ${target} meanwhile`);
				await fsp.rename(path.join(part, name), path.join(target, name));
			}
			await fsp.rmdir(part);
		} else await fsp.rename(part, target);
	} catch (error) {
		await fsp.rm(part, { recursive: true, force: true });
		throw error;
	}
	await finishFolders(counts.folders, target);
	const leftOut = counts.leftOut > 0 ? `, ${counts.leftOut} links left out (tar unpacks them)` : '';
	say(`${target}: ${counts.files} files${leftOut}`);
	for (const { path: name, manifest } of entries) {
		const command = manifest.format === 'tar' ? 'unpack' : 'open';
		say(`It holds a backup: node recover.mjs ${command} ${path.join(target, name)}`);
	}
}

// -------------------------------------------------------------------------------------------------------------- main

/** Standard input may be the backup itself. */
function openTerminal() {
	try {
		return new tty.ReadStream(fs.openSync('/dev/tty', 'r'));
	} catch {
		return fail(
			'The backup is encrypted with a passphrase: give it with --passphrase-file or LIFEBOAT_PASSPHRASE',
		);
	}
}

/** Asks without showing what is typed. */
async function ask(question) {
	const input = process.stdin.isTTY ? process.stdin : openTerminal();
	process.stderr.write(question);
	const silent = new Writable({ write: (_data, _encoding, callback) => callback() });
	const terminal = readline.createInterface({ input, output: silent, terminal: true });
	const answer = await new Promise((resolve) => terminal.question('', resolve));
	terminal.close();
	if (input !== process.stdin) input.destroy();
	say('');
	return answer;
}

function readPassphrase(file) {
	let text;
	try {
		text = fs.readFileSync(file, 'utf8');
	} catch (error) {
		unreadable(file)(error);
	}
	return text.split(/\r?\n/)[0];
}

function keyRing(values) {
	const given = () => {
		const file = values['passphrase-file'];
		if (file !== undefined) return readPassphrase(file);
		return process.env.LIFEBOAT_PASSPHRASE || undefined;
	};
	return {
		identities: () => readIdentities(values.identity ?? []),
		givenPassphrase: given,
		passphrase: async () => given() ?? ask('Passphrase: '),
	};
}

async function main() {
	const [major, minor] = process.versions.node.split('.').map(Number);
	if (major < 18 || (major === 18 && minor < 17))
		fail(`This is Node ${process.versions.node}. Take Node 18.19 or newer: nodejs.org`);
	const { values, positionals } = readArguments();
	const [command = 'help', given, ...more] = positionals;
	const keys = keyRing(values);
	if (values.help || command === 'help') return console.log(HELP);
	if (command === 'list') return list(given ?? '.');
	if (!['verify', 'decrypt', 'open', 'unpack'].includes(command))
		fail(`There is no command ${command}\n\n${HELP}`);
	const isPiped = given === undefined || given === '-';
	if (isPiped && !['decrypt', 'open'].includes(command))
		fail(`Say which backup: node recover.mjs ${command} <backup>`);
	if (isPiped && process.stdin.isTTY) fail(`Say which backup: node recover.mjs ${command} <backup>`);
	if (command === 'verify') return verifyAll(await chosen([given, ...more]), keys);
	if (more.length > 0) fail(`Give one backup at a time: ${command} would leave ${more.join(' ')} alone`);
	const file = isPiped ? undefined : backupOf(given);
	if (file !== undefined && !fs.existsSync(file)) fail(`${file} does not exist`);
	if (file !== undefined && fs.statSync(file).isDirectory())
		fail(`${file} is a folder. Which backups lie there, says: node recover.mjs list ${quoted(file)}`);
	if (command === 'unpack') return unpack(file, keys, values.directory);
	const backup = await openBackup(file, keys, command === 'decrypt' ? isEncryption : undefined);
	if (command === 'decrypt' && backup.undone.length === 0)
		fail('The backup is not encrypted, or not in a way that is known');
	const target = values.output ?? (isPiped ? '-' : nameWithout(file, backup.undone));
	if (target !== '-') refuseTaken(target);
	const content = new Source(backup.chunks);
	const next =
		command === 'open' && target !== '-' ? await nextFor(content, backup.manifest, target) : undefined;
	await writeWhole(target, { ...backup, chunks: content.rest() });
	if (next) say(`Next: ${next}`);
}

function readArguments() {
	const options = {
		allowPositionals: true,
		options: {
			identity: { type: 'string', short: 'i', multiple: true },
			'passphrase-file': { type: 'string' },
			output: { type: 'string', short: 'o' },
			directory: { type: 'string', short: 'C' },
			help: { type: 'boolean', short: 'h' },
		},
	};
	try {
		return util.parseArgs(options);
	} catch (error) {
		return fail(`${error.message}\n\n${HELP}`);
	}
}

/** The backups that are meant by names of backups, of files beside them, and of folders. */
async function chosen(names) {
	const files = [];
	for (const name of names) {
		if (fs.existsSync(name) && fs.statSync(name).isDirectory()) files.push(...(await backupsIn(name)));
		else files.push(backupOf(name));
	}
	return [...new Set(files)];
}

const describe = (error) => (error instanceof Failure ? error.message : `It failed: ${error.message}`);

let isDone = false;

// `| head` and `| less` end before all is said. What is cut short by that must not look like a success.
process.stdout.on('error', (error) => {
	if (error.code !== 'EPIPE') say(`The output could not be written: ${error.message}`);
	isDone = true;
	process.exit(1);
});

// A promise that nothing fulfils any more ends Node with the status of a success.
process.on('exit', () => {
	if (isDone) return;
	say('It ended before its work was done. What it wrote must not be used');
	process.exitCode = 1;
});

main()
	.catch((error) => {
		say(describe(error));
		process.exitCode = 1;
	})
	.finally(() => {
		isDone = true;
	});
