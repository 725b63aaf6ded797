import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import type {
	ICredentialsDecrypted,
	ICredentialTestFunctions,
	INodeCredentialTestResult,
} from 'n8n-workflow';

import {
	createAgeIdentity,
	decryptor,
	encryptionEncoding,
	type EncryptionName,
	type EncryptionTargets,
} from '../../lib/encryption/encryption';
import { LifeboatError } from '../../lib/errors';
import { chain } from '../../lib/streams/chain';
import { keysOf } from './credentials';

/** The test button of the credential: encrypts a few bytes with what is filled in, and opens them again where it can. */
export async function testEncryptionKey(
	this: ICredentialTestFunctions,
	credential: ICredentialsDecrypted,
): Promise<INodeCredentialTestResult> {
	try {
		return { status: 'OK', message: await tryKeys(keysOf(credential.data ?? {})) };
	} catch (error) {
		if (!(error instanceof LifeboatError)) throw error;
		return { status: 'Error', message: error.hint ? `${error.message}. ${error.hint}` : error.message };
	}
}

async function tryKeys(keys: ReturnType<typeof keysOf>): Promise<string> {
	const { recipients = [], identities = [], openpgp = {}, passphrase } = keys;
	const done: string[] = [];
	if (recipients.length > 0) {
		const sealed = await encrypt('age', { recipients });
		done.push('The recipients are valid');
		if (identities.length > 0) {
			await open(sealed, { identities });
			done.push('the identity opens what is encrypted for them');
		}
	} else if (identities.length > 0) {
		// Nothing to open with it: reading a foreign header at least shows whether the identity itself is well-formed.
		await checkIdentity(identities);
		done.push('The identity is valid');
	}
	if (openpgp.publicKeys?.length) {
		const sealed = await encrypt('openpgp', { openpgp });
		done.push('OpenPGP: the public keys are valid');
		if (openpgp.signingKeys?.length) done.push('the signing key signs');
		if (openpgp.privateKeys?.length) {
			await open(sealed, { openpgp });
			done.push('the private key opens what is encrypted for them');
		}
	} else if (openpgp.privateKeys?.length || openpgp.signingKeys?.length) {
		// Parsing unlocks them; there is nothing to open with them.
		await decryptor({ type: 'encryption', format: 'openpgp' }, { openpgp, passphrase: 'x' });
		if (openpgp.signingKeys?.length) await encrypt('openpgp', { openpgp, passphrase: 'x' });
		done.push('The OpenPGP keys are valid');
	}
	if (passphrase) {
		await encrypt('age', { passphrase });
		done.push('a passphrase is set');
	}
	if (done.length > 0) return done.join('; ');
	throw new LifeboatError('KEY_MISSING', 'Nothing is filled in', {
		hint: 'Fill in recipients or public keys to encrypt, an identity or private key to decrypt, or a passphrase',
	});
}

type Sealed = { bytes: Buffer; transformation: Parameters<typeof decryptor>[0] };

async function encrypt(name: EncryptionName, keys: EncryptionTargets): Promise<Sealed> {
	const encoding = await encryptionEncoding(name, keys);
	const bytes = await buffer(
		chain(Readable.from([Buffer.from('probe')]), [await encoding.createTransform()]),
	);
	if (encoding.transformation.type !== 'encryption') throw new TypeError('not an encryption');
	return { bytes, transformation: encoding.transformation };
}

async function open(sealed: Sealed, keys: Parameters<typeof decryptor>[1]): Promise<void> {
	await buffer(chain(Readable.from([sealed.bytes]), [await decryptor(sealed.transformation, keys)]));
}

async function checkIdentity(identities: readonly string[]): Promise<void> {
	const { recipient } = await createAgeIdentity();
	const sealed = await encrypt('age', { recipients: [recipient] });
	try {
		await open(sealed, { identities });
	} catch (error) {
		if (error instanceof LifeboatError && error.code === 'WRONG_KEY') return;
		throw error;
	}
}
