import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import type {
	ICredentialsDecrypted,
	ICredentialTestFunctions,
	INodeCredentialTestResult,
} from 'n8n-workflow';

import { createAgeIdentity, decryptor, encryptionEncoding } from '../../lib/encryption/encryption';
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
	const { recipients = [], identities = [], passphrase } = keys;
	const done: string[] = [];
	if (recipients.length > 0) {
		const sealed = await encrypt({ recipients });
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
	if (passphrase) {
		await encrypt({ passphrase });
		done.push('a passphrase is set');
	}
	if (done.length > 0) return done.join('; ');
	throw new LifeboatError('KEY_MISSING', 'Nothing is filled in', {
		hint: 'Fill in age recipients to encrypt, an age identity to decrypt, or a passphrase',
	});
}

type Sealed = { bytes: Buffer; transformation: Parameters<typeof decryptor>[0] };

async function encrypt(keys: Parameters<typeof encryptionEncoding>[1]): Promise<Sealed> {
	const encoding = await encryptionEncoding('age', keys);
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
	const sealed = await encrypt({ recipients: [recipient] });
	try {
		await open(sealed, { identities });
	} catch (error) {
		if (error instanceof LifeboatError && error.code === 'WRONG_KEY') return;
		throw error;
	}
}
