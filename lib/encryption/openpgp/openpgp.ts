import { randomBytes } from 'node:crypto';
import { Duplex, PassThrough, pipeline, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import type { PrivateKey } from 'openpgp';

import { LifeboatError } from '../../errors';
import type { EncryptionFormat } from '../encryption';
import { passphrasesOf } from '../passphrases';

import { keyMissing } from './failures';
import { fingerprintOf, openPgp, parsePrivateKeys, parsePublicKeys, publicPartsOf } from './keys';
import { messageReader } from './open';
import { S2K_COUNT } from './passphrase-key';
import { MessageWriter } from './seal';
import { wrapSessionKey } from './session-key';

/**
 * OpenPGP messages (RFC 9580), opened by every `gpg --decrypt`: AES-256 with a modification detection code, not compressed.
 * Keys and signatures are the library's work, the data node:crypto's, which is several times faster.
 */
export const openpgp: EncryptionFormat = {
	name: 'openpgp',

	async encoding({ passphrase, openpgp: keys = {} }) {
		const publicKeys = await parsePublicKeys(keys.publicKeys);
		const signingKeys = await parsePrivateKeys(keys.signingKeys, 'OpenPGP Signing Key', keys.keyPassphrase);
		if (publicKeys.length === 0 && !passphrase) {
			throw new LifeboatError('KEY_MISSING', 'There is nothing to encrypt with', {
				hint: 'Fill in OpenPGP Public Keys, or Passphrase, in the Backup Encryption Key credential',
			});
		}
		// A key that can't be used should fail now, not after hours of a dump.
		await wrapSessionKey(randomBytes(32), publicKeys, undefined);
		if (signingKeys.length > 0) await buffer(await signed(signingKeys, Readable.from([Buffer.alloc(1)])));
		return {
			transformation: {
				type: 'encryption',
				format: 'openpgp',
				...(publicKeys.length > 0 && { recipients: publicKeys.map(fingerprintOf) }),
				...(passphrase && { passphrase: { kdf: 'openpgp-s2k', hash: 'sha256', count: S2K_COUNT } }),
				...(signingKeys.length > 0 && { signedBy: signingKeys.map(fingerprintOf) }),
			},
			extension: '.gpg',
			async createTransform() {
				const sessionKey = randomBytes(32);
				const header = await wrapSessionKey(sessionKey, publicKeys, passphrase);
				if (signingKeys.length === 0) return new MessageWriter(header, sessionKey, 'bytes');
				const input = new PassThrough();
				const writer = new MessageWriter(header, sessionKey, 'packets');
				// The callback only keeps the error from being thrown: pipeline has destroyed the writer with it.
				pipeline(await signed(signingKeys, input), writer, (error) => {
					if (error && !writer.destroyed) writer.destroy(error);
				});
				return Duplex.from({ writable: input, readable: writer });
			},
		};
	},

	async decryptor(transformation, keys) {
		const { publicKeys, privateKeys, signingKeys, keyPassphrase } = keys.openpgp ?? {};
		const decryptionKeys = await parsePrivateKeys(privateKeys, 'OpenPGP Private Keys', keyPassphrase);
		const passphrases = passphrasesOf(keys);
		const { recipients, passphrase, signedBy } = transformation;
		if (decryptionKeys.length === 0 && (passphrases.length === 0 || (recipients?.length && !passphrase))) {
			throw keyMissing(
				recipients?.length ? (passphrase ? 'either' : 'key') : passphrase ? 'passphrase' : 'either',
				recipients,
			);
		}
		if (passphrases.length === 0 && passphrase && !recipients?.length) throw keyMissing('passphrase');
		const verificationKeys = [
			...(await parsePublicKeys(publicKeys)),
			...(await publicPartsOf(signingKeys, 'OpenPGP Signing Key')),
			...decryptionKeys.map((key) => key.toPublic()),
		];
		return messageReader({
			decryptionKeys,
			passphrases,
			recipients,
			verificationKeys,
			signedBy: signedBy ?? [],
		});
	},
};

/** The packets of a signed message: content and signatures. */
async function signed(signingKeys: PrivateKey[], content: Readable): Promise<Readable> {
	const { createMessage, sign } = await openPgp();
	try {
		const packets = await sign({
			message: await createMessage({
				binary: Readable.toWeb(content) as never,
				filename: '',
				date: new Date(0),
			}),
			signingKeys,
			format: 'binary',
			config: { nonDeterministicSignaturesViaNotation: false },
		});
		return Readable.fromWeb(packets);
	} catch (error) {
		throw new LifeboatError(
			'INVALID_KEY',
			`The OpenPGP key ${signingKeys.map(fingerprintOf).join(', ')} cannot sign`,
			{
				hint: 'It may have expired, been revoked, or have no subkey for signing. "gpg --list-secret-keys" tells',
				cause: error,
			},
		);
	}
}
