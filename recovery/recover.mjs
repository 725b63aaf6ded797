#!/usr/bin/env node
// Opens backups of n8n-nodes-lifeboat without n8n and without an install: this file and Node 20 or newer are enough.
// It is one file on purpose, and shares no code with the package, so that it can lie beside the backups for years.
//   node recover.mjs help
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import path from 'node:path';
import readline from 'node:readline';
import { Readable, Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import tty from 'node:tty';
import { parseArgs } from 'node:util';
import zlib from 'node:zlib';

const HELP = `Opens backups made by n8n-nodes-lifeboat.

  node recover.mjs list [folder]           what lies there, and which key each backup needs
  node recover.mjs verify <backup>         checksum, decryption, decompression and content, nothing is written
  node recover.mjs decrypt <backup> [-o f] takes the encryption off, nothing else
  node recover.mjs open <backup> [-o f]    decrypts and decompresses: the SQL, dump or tar file
  node recover.mjs unpack <backup> -C dir  open, and unpack an archive of files into a new folder

Without <backup>, decrypt and open read standard input and write standard output; "-o -" writes to it, too.

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

	async *rest() {
		if (this.#held.length > 0) yield await this.take(this.#held.length);
		while (!this.#ended) {
			const { value, done } = await this.#chunks.next();
			if (done) this.#ended = true;
			else yield value;
		}
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
		const text = await fsp
			.readFile(file, 'utf8')
			.catch((error) => fail(`${file} could not be read: ${error.message}`));
		if (text.includes('-----BEGIN AGE ENCRYPTED FILE-----')) {
			fail(`${file} is encrypted itself. Decrypt it first: node recover.mjs decrypt ${file} -o key.txt`);
		}
		if (text.includes('PRIVATE KEY-----')) identities.push(sshIdentity(text, file));
		for (const [identity] of text.matchAll(/^[ \t]*AGE-SECRET-KEY-1[A-Z0-9]+/gim))
			identities.push(x25519Identity(identity.trim()));
		if (/^\s*AGE-SECRET-KEY-PQ-/im.test(text)) say(`${file}: post-quantum identities need the age command`);
	}
	return identities;
}

async function* dearmored(source) {
	let text = '';
	let ended = false;
	let started = false;
	for await (const data of source.rest()) {
		text += data.toString('latin1');
		if (!started) {
			const begin = /^\s*-----BEGIN AGE ENCRYPTED FILE-----\r?\n/.exec(text);
			if (!begin) continue;
			started = true;
			text = text.slice(begin[0].length);
		}
		const end = text.indexOf('-----END');
		const usable = (end === -1 ? text.slice(0, text.lastIndexOf('\n') + 1) : text.slice(0, end)).replaceAll(
			/\s/g,
			'',
		);
		const whole = end === -1 ? usable.length - (usable.length % 4) : usable.length;
		text = usable.slice(whole) + (end === -1 ? text.slice(text.lastIndexOf('\n') + 1) : '');
		if (whole > 0) yield Buffer.from(usable.slice(0, whole), 'base64');
		if (end !== -1) {
			ended = true;
			break;
		}
	}
	if (!ended) fail('The file ends before the last line of its ASCII armour');
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
	if (identities.length === 0) fail('The backup is encrypted for age recipients: give the identity with -i');
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

/** Sends bytes through a command. It fails unless the command ends with status 0. */
async function* through(command, args, source, { passphrase, hint }) {
	const stdio = ['pipe', 'pipe', 'inherit', ...(passphrase === undefined ? [] : ['pipe'])];
	const child = spawn(command, args, { stdio });
	let failure;
	const closed = new Promise((resolve) => {
		child.on('error', (error) => {
			failure = error;
			resolve(-1);
		});
		child.on('close', resolve);
	});
	if (passphrase !== undefined) child.stdio[3].end(`${passphrase}\n`);
	// A command that ends early says why by its status.
	const fed = pipeline(Readable.from(source.rest()), child.stdin).catch(() => {});
	yield* child.stdout;
	const status = await closed;
	if (failure) fail(`The command ${command} could not be started. ${hint}`);
	if (status !== 0) fail(`The command ${command} failed. What it wrote must not be used. ${hint}`);
	await fed;
}

async function* openPgp(source, keys) {
	const passphrase = keys.givenPassphrase();
	const args = [
		'--quiet',
		...(passphrase === undefined ? [] : ['--batch', '--pinentry-mode', 'loopback', '--passphrase-fd', '3']),
	];
	const hint = 'By hand: gpg --import <private key>, then gpg --decrypt <backup>';
	yield* through('gpg', [...args, '--decrypt'], source, { passphrase, hint });
}

async function* decompressed(source, stream) {
	const result = Readable.from(source.rest()).compose(stream);
	try {
		yield* result;
	} catch (error) {
		if (error instanceof Failure) throw error;
		fail(`The file is damaged or cut short: it does not decompress (${error.message})`);
	}
}

const decoders = {
	age: openAge,
	'aes-256-gcm': openAes,
	openpgp: openPgp,
	gzip: (source) => decompressed(source, zlib.createGunzip()),
	zstd: (source) =>
		zlib.createZstdDecompress
			? decompressed(source, zlib.createZstdDecompress())
			: through('zstd', ['-dc'], source, {
					hint: 'This Node has no zstd: install the command, or Node 22.15 or newer',
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

async function readManifest(file) {
	const text = await fsp.readFile(`${file}.manifest.json`, 'utf8').catch(() => undefined);
	if (text === undefined) return undefined;
	try {
		return JSON.parse(text);
	} catch {
		return fail(`${file}.manifest.json is damaged. Move it away to go on without it`);
	}
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

/** Opens a backup. `finish` compares with the manifest, once all was read. */
async function openBackup(file, keys, until) {
	const manifest = file === undefined ? undefined : await readManifest(file);
	const stored = {};
	const content = {};
	const stream =
		file === undefined ? process.stdin : fs.createReadStream(file, { highWaterMark: 1024 * 1024 });
	const source = new Source(measured(stream, stored));
	const { source: last, undone } = await decoded(source, keys, stepsOf(manifest), until);
	return {
		manifest,
		undone,
		format: manifest?.format,
		chunks: measured(last.rest(), content),
		async finish() {
			for await (const rest of source.rest()) void rest;
			if (!manifest) return;
			compare('file', stored, manifest.stored);
			if (undone.length === manifest.transformations.length) compare('content', content, manifest.content);
		},
		content,
		stored,
	};
}

/** The final name only ever stands for whole content. */
async function writeWhole(target, backup) {
	if (target === '-') {
		for await (const data of backup.chunks)
			if (!process.stdout.write(data)) await new Promise((r) => process.stdout.once('drain', r));
		await backup.finish();
		return;
	}
	if (fs.existsSync(target)) fail(`${target} exists. Choose another name with -o`);
	const part = `${target}.part`;
	try {
		await pipeline(Readable.from(backup.chunks), fs.createWriteStream(part, { mode: 0o600, flags: 'wx' }));
		await backup.finish();
		await fsp.rename(part, target);
	} catch (error) {
		await fsp.rm(part, { force: true });
		throw error;
	}
	say(`${target}: ${backup.content.size} bytes, SHA-256 ${backup.content.sha256}`);
}

function nameWithout(file, undone) {
	let name = path.basename(file);
	for (let count = 0; count < undone.length; count++)
		name = name.replace(/\.(age|aes|gpg|asc|pgp|zst|gz)$/, '');
	return name === path.basename(file) ? `${name}.out` : name;
}

async function list(folder) {
	let count = 0;
	for (const name of (await fsp.readdir(folder, { recursive: true })).sort()) {
		if (!name.endsWith('.manifest.json')) continue;
		const file = path.join(folder, name.slice(0, -'.manifest.json'.length));
		const manifest = await readManifest(file);
		const stat = await fsp.stat(file).catch(() => undefined);
		const size = !stat
			? 'MISSING'
			: stat.size === manifest.stored.size
				? `${stat.size} bytes`
				: `${stat.size} bytes, NOT ${manifest.stored.size}`;
		console.log(`${file}\n  ${manifest.name}, ${manifest.kind}, ${manifest.createdAt}, ${size}`);
		for (const { type, format, recipients, passphrase } of manifest.transformations) {
			if (type !== 'encryption') continue;
			for (const recipient of recipients ?? []) console.log(`  ${format}: opened by the key of ${recipient}`);
			if (passphrase) console.log(`  ${format}: opened by a passphrase`);
		}
		for (const command of manifest.restoreCommands ?? []) console.log(`  $ ${command}`);
		count += 1;
	}
	if (count === 0)
		fail(`There is no manifest in ${folder}. Files without one can still be opened: open <file>`);
}

async function verify(file, keys) {
	const backup = await openBackup(file, keys);
	let start = Buffer.alloc(0);
	let end = Buffer.alloc(0);
	for await (const data of backup.chunks) {
		if (start.length < 512) start = Buffer.concat([start, data]).subarray(0, 512);
		end = Buffer.concat([end, data]).subarray(-1024);
	}
	await backup.finish();
	const { format } = backup.manifest ?? {};
	if (format === 'tar' && !end.equals(Buffer.alloc(1024))) fail('The archive has no end');
	if (format === 'pg-custom' && start.toString('latin1', 0, 5) !== 'PGDMP')
		fail('The content is no archive of pg_dump');
	const proven = backup.manifest
		? 'file and content are what the manifest says'
		: 'there is no manifest to compare it with';
	console.log(`${file}: opens to its end (${backup.undone.join(', ') || 'nothing to undo'}); ${proven}`);
	console.log(`content: ${backup.content.size} bytes, SHA-256 ${backup.content.sha256}`);
}

// --------------------------------------------------------------------------------------------------------------- tar

function tarText(block, start, length) {
	const bytes = block.subarray(start, start + length);
	const end = bytes.indexOf(0);
	return bytes.toString('utf8', 0, end === -1 ? length : end);
}

function tarNumber(block, start, length) {
	if (block[start] & 0x80) {
		const value = Number(BigInt(`0x${block.subarray(start + 1, start + length).toString('hex')}`));
		return Number.isSafeInteger(value) ? value : fail('The archive is damaged');
	}
	const text = tarText(block, start, length).trim();
	if (!/^[0-7]*$/.test(text)) fail('The archive is damaged');
	return parseInt(text || '0', 8);
}

function paxRecords(bytes) {
	const records = {};
	for (let at = 0; at < bytes.length;) {
		const space = bytes.indexOf(0x20, at);
		const length = Number(bytes.toString('latin1', at, space));
		if (!(length > 0)) fail('The archive is damaged');
		const [, key, value] =
			/^([^=]+)=([\s\S]*)\n$/.exec(bytes.toString('utf8', space + 1, at + length)) ??
			fail('The archive is damaged');
		records[key] = value;
		at += length;
	}
	return records;
}

/** The path of an entry within the folder. Nothing may lead out of it. */
function safePath(folder, name) {
	const parts = name.split('/').filter((part) => part !== '' && part !== '.');
	if (name.startsWith('/') || parts.includes('..') || /[\0\\]/.test(name) || /^[A-Za-z]:/.test(name)) {
		fail(`The archive has the entry ${JSON.stringify(name)}, which would lead out of the folder`);
	}
	return path.join(folder, ...parts);
}

/** Unpacks into a folder that was empty. Links are made last, so that nothing is ever written through one. */
async function unpackTar(source, folder) {
	const links = [];
	const folders = [];
	let pax = {};
	let files = 0;
	for (;;) {
		const block = await source.take(512);
		if (block.length < 512) fail('The archive ends before its real end');
		if (block.every((byte) => byte === 0)) break;
		const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
		if (sum !== tarNumber(block, 148, 8)) fail('The archive is damaged');
		const type = String.fromCharCode(block[156]);
		const size = pax.size === undefined ? tarNumber(block, 124, 12) : Number(pax.size);
		const padded = Math.ceil(size / 512) * 512;
		if (type === 'x' || type === 'g' || type === 'L' || type === 'K') {
			if (size > 1024 * 1024) fail('The archive is damaged');
			const bytes = (await source.take(padded)).subarray(0, size);
			if (type === 'x') pax = { ...pax, ...paxRecords(bytes) };
			if (type === 'L') pax.path = tarText(bytes, 0, size);
			if (type === 'K') pax.linkpath = tarText(bytes, 0, size);
			continue;
		}
		const prefix = tarText(block, 257, 6) === 'ustar' ? tarText(block, 345, 155) : '';
		const name = pax.path ?? (prefix ? `${prefix}/` : '') + tarText(block, 0, 100);
		const target = safePath(folder, name);
		const mode = tarNumber(block, 100, 8) & 0o777;
		const mtime = pax.mtime === undefined ? tarNumber(block, 136, 12) : Number(pax.mtime);
		const linkName = pax.linkpath ?? tarText(block, 157, 100);
		pax = {};
		if (type === '0' || type === '\0' || type === '7') {
			await fsp.mkdir(path.dirname(target), { recursive: true });
			const file = fs.createWriteStream(target, { flags: 'wx', mode: 0o600 });
			for (let missing = size; missing > 0;) {
				const data = await source.take(Math.min(missing, 64 * 1024));
				if (data.length === 0) fail('The archive ends before its real end');
				missing -= data.length;
				if (!file.write(data))
					await new Promise((resolve, reject) => file.once('drain', resolve).once('error', reject));
			}
			file.end();
			await finished(file);
			await source.take(padded - size);
			await fsp.chmod(target, mode);
			await fsp.utimes(target, mtime, mtime);
			files += 1;
		} else if (type === '5') {
			await fsp.mkdir(target, { recursive: true });
			folders.push({ target, mode, mtime });
		} else if (type === '1') {
			links.push({ target, hard: safePath(folder, linkName) });
		} else if (type === '2') {
			links.push({ target, soft: linkName });
		} else {
			fail(`The archive has the entry ${JSON.stringify(name)} of a kind that is not unpacked`);
		}
	}
	for (const { target, hard, soft } of links) {
		await fsp.mkdir(path.dirname(target), { recursive: true });
		if (hard !== undefined) await fsp.link(hard, target);
		else {
			const reached = path.resolve(path.dirname(target), soft);
			if (reached !== folder && !reached.startsWith(folder + path.sep))
				say(`Left out: ${target} -> ${soft}, which leads out of the folder`);
			else await fsp.symlink(soft, target);
		}
	}
	for (const { target, mode, mtime } of folders.reverse()) {
		await fsp.chmod(target, mode);
		await fsp.utimes(target, mtime, mtime);
	}
	return files;
}

async function unpack(file, keys, directory) {
	if (directory === undefined) fail('Say where to: -C <new folder>');
	const target = path.resolve(directory);
	const there = await fsp.readdir(target).catch(() => []);
	if (there.length > 0) fail(`${target} is not empty. Choose a new folder with -C`);
	const backup = await openBackup(file, keys);
	if (backup.manifest && backup.manifest.format !== 'tar') {
		fail(
			`${file} holds no files but a database: use "open", then\n  ${backup.manifest.restoreCommands?.at(-1) ?? 'psql or pg_restore'}`,
		);
	}
	// Under its name only once all of it was proven.
	const part = `${target}.part`;
	try {
		await fsp.mkdir(path.dirname(part), { recursive: true });
		await fsp.mkdir(part, { mode: 0o700 });
		const source = new Source(backup.chunks);
		const files = await unpackTar(source, part);
		for await (const rest of source.rest()) void rest;
		await backup.finish();
		await fsp.rm(target, { recursive: true, force: true });
		await fsp.rename(part, target);
		say(`${target}: ${files} files`);
	} catch (error) {
		await fsp.rm(part, { recursive: true, force: true });
		throw error;
	}
	for (const entry of backup.manifest?.entries ?? []) {
		const inner = path.join(target, entry.path);
		await fsp.writeFile(
			`${inner}.manifest.json`,
			JSON.stringify({ ...entry.manifest, fileName: entry.path }, null, 2),
		);
		say(
			`It holds a backup: node recover.mjs ${entry.manifest.format === 'tar' ? 'unpack' : 'open'} ${inner}`,
		);
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

function keyRing(values) {
	const given = () => {
		const file = values['passphrase-file'];
		if (file !== undefined) return fs.readFileSync(file, 'utf8').split(/\r?\n/)[0];
		return process.env.LIFEBOAT_PASSPHRASE || undefined;
	};
	return {
		identities: () => readIdentities(values.identity ?? []),
		givenPassphrase: given,
		passphrase: async () => given() ?? ask('Passphrase: '),
	};
}

async function main() {
	const { values, positionals } = parseArgs({
		allowPositionals: true,
		options: {
			identity: { type: 'string', short: 'i', multiple: true },
			'passphrase-file': { type: 'string' },
			output: { type: 'string', short: 'o' },
			directory: { type: 'string', short: 'C' },
			help: { type: 'boolean', short: 'h' },
		},
	});
	const [command = 'help', file] = positionals;
	const keys = keyRing(values);
	if (values.help || command === 'help') return console.log(HELP);
	if (command === 'list') return list(file ?? '.');
	if (!['verify', 'decrypt', 'open', 'unpack'].includes(command))
		fail(`There is no command ${command}\n\n${HELP}`);
	if (file === undefined && !['decrypt', 'open'].includes(command))
		fail(`Say which backup: node recover.mjs ${command} <backup>`);
	if (file !== undefined && !fs.existsSync(file)) fail(`${file} does not exist`);
	if (command === 'verify') return verify(file, keys);
	if (command === 'unpack') return unpack(file, keys, values.directory);
	const backup = await openBackup(file, keys, command === 'decrypt' ? isEncryption : undefined);
	if (command === 'decrypt' && backup.undone.length === 0)
		fail('The backup is not encrypted, or not in a way that is known');
	await writeWhole(values.output ?? (file === undefined ? '-' : nameWithout(file, backup.undone)), backup);
	const next = backup.manifest?.restoreCommands?.at(-1)?.split(' | ').at(-1);
	if (command === 'open' && next) say(`Next: ${next} < ${values.output ?? nameWithout(file, backup.undone)}`);
}

main().catch((error) => {
	say(error instanceof Failure ? error.message : `It failed: ${error.message}`);
	process.exitCode = 1;
});
