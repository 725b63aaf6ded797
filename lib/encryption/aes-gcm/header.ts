import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';

import type { EncryptionTransformation } from '../../artifact/manifest';
import { LifeboatError } from '../../errors';
import { payloadCipher, type PayloadCipher } from '../chunks';
import type { HeaderReader } from '../container';
import { damaged } from '../failures';

import { deriveKey, isBounded, type KeyDerivation } from './kdf';

const MAGIC = Buffer.from('LBAESGCM', 'latin1');

const VERSION = 1;

/** Bytes before the MAC. */
const PARAMETERS_SIZE = 48;

const HEADER_SIZE = 80;

const kdfCodes = { 'pbkdf2-sha256': 1, scrypt: 2 } as const;

/** A header for a new file, and the cipher of its payload. docs/aes-256-gcm-format.md describes each byte. */
export async function createHeader(
	password: string,
	derivation: KeyDerivation,
): Promise<{ bytes: Buffer; cipher: PayloadCipher }> {
	const parameters = Buffer.alloc(PARAMETERS_SIZE);
	MAGIC.copy(parameters);
	parameters.writeUInt8(VERSION, 8);
	parameters.writeUInt8(kdfCodes[derivation.kdf], 9);
	parameters.writeUInt32BE(derivation.kdf === 'scrypt' ? derivation.logN : derivation.rounds, 12);
	const salt = randomBytes(32);
	salt.copy(parameters, 16);
	const { mac, cipher } = keysOf(await deriveKey(password, salt, derivation), parameters);
	return { bytes: Buffer.concat([parameters, mac]), cipher };
}

/** Reads the header of a file, and finds the password that opens it. */
export function headerReader(
	passwords: readonly string[],
	transformation: EncryptionTransformation,
): HeaderReader {
	return {
		async read(start, ended) {
			if (ended && start.length === 0) throw damaged('is empty');
			const given = start.subarray(0, MAGIC.length);
			if (!given.equals(MAGIC.subarray(0, given.length))) {
				throw damaged('does not start as a file of this package encrypted with AES-256-GCM does');
			}
			if (start.length < HEADER_SIZE) {
				if (ended) throw damaged('ends within its header');
				return undefined;
			}
			const parameters = start.subarray(0, PARAMETERS_SIZE);
			const derivation = derivationIn(parameters);
			checkManifest(derivation, transformation);
			const expected = start.subarray(PARAMETERS_SIZE, HEADER_SIZE);
			for (const password of passwords) {
				const { mac, cipher } = keysOf(
					await deriveKey(password, parameters.subarray(16), derivation),
					parameters,
				);
				if (timingSafeEqual(mac, expected)) return { length: HEADER_SIZE, cipher };
			}
			throw new LifeboatError(
				'WRONG_KEY',
				passwords.length === 1
					? 'The passphrase does not open the backup'
					: `None of the ${passwords.length} passphrases opens the backup`,
				{
					hint: 'Check Passphrase in the Backup Encryption Key credential: it must be the one the backup was encrypted with. If it is, the first bytes of this copy were changed: take another copy',
				},
			);
		},
	};
}

function derivationIn(parameters: Buffer): KeyDerivation {
	const version = parameters.readUInt8(8);
	if (version !== VERSION) {
		throw new LifeboatError(
			'UNSUPPORTED_FORMAT',
			`The data is encrypted with version ${version} of this package's AES-256-GCM format; version ${VERSION} is known`,
			{ hint: 'Update n8n-nodes-lifeboat. If it is up to date, the file was changed: take another copy' },
		);
	}
	const code = parameters.readUInt8(9);
	const cost = parameters.readUInt32BE(12);
	if (parameters.readUInt16BE(10) !== 0) throw damaged('has a malformed header');
	const derivation: KeyDerivation | undefined =
		code === kdfCodes.scrypt
			? { kdf: 'scrypt', logN: cost }
			: code === kdfCodes['pbkdf2-sha256']
				? { kdf: 'pbkdf2-sha256', rounds: cost }
				: undefined;
	if (!derivation) throw damaged('has a malformed header');
	if (!isBounded(derivation)) {
		throw damaged(`asks for a cost of ${cost} to derive its key, which is outside of what is accepted`);
	}
	return derivation;
}

/** A header that costs more, or less, than the manifest says is not the one that was written. */
function checkManifest(found: KeyDerivation, { passphrase: said }: EncryptionTransformation): void {
	if (!said) return;
	const same =
		said.kdf === 'scrypt'
			? found.kdf === 'scrypt' && found.logN === said.logN
			: said.kdf === 'pbkdf2-sha256' && found.kdf === 'pbkdf2-sha256' && found.rounds === said.rounds;
	if (!same) throw damaged('has a header other than the one its manifest describes');
}

function keysOf(passwordKey: Buffer, parameters: Buffer): { mac: Buffer; cipher: PayloadCipher } {
	const derived = (use: string) =>
		hkdfSync('sha256', passwordKey, parameters, `lifeboat aes-256-gcm v1 ${use}`, 32);
	const mac = createHmac('sha256', new Uint8Array(derived('header')))
		.update(parameters)
		.digest();
	return { mac, cipher: payloadCipher('aes-256-gcm', derived('payload')) };
}
