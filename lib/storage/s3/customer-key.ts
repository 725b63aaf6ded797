import { S3ServiceException, type S3Client } from '@aws-sdk/client-s3';

import { LifeboatError } from '../../errors';

import { hasStatus } from './errors';

/** Bytes of a key of AES-256. */
const KEY_BYTES = 32;

/** Requests whose object is encrypted, or decrypted, on the way ("Using server-side encryption with customer-provided keys"). */
const reading = new Set(['GetObjectCommand', 'HeadObjectCommand']);
const writing = new Set([
	...['CreateMultipartUploadCommand', 'PutObjectCommand', 'UploadPartCommand'],
	// Where parts have checksums.
	...['CompleteMultipartUploadCommand', 'ListPartsCommand'],
]);

/** What services call the refusal of a key, apart from what they would also refuse without one. */
const refusals = /^(AccessDenied|BadRequest|Forbidden|Invalid(Argument|Request)|Unknown(Error)?|\d{3})$/;

/**
 * Checks a key that the client sends with each request (SSE-C).
 *
 * @param text 256 bits in base64.
 * @throws LifeboatError `INVALID_OPTION`, without the key.
 */
export function parseCustomerKey(text: string): string {
	const key = text.trim();
	const isBase64 = /^[A-Za-z0-9+/]{43}=$/.test(key);
	if (isBase64 && Buffer.from(key, 'base64').length === KEY_BYTES) return key;
	throw new LifeboatError('INVALID_OPTION', 'The S3 customer key is not 256 bits in base64', {
		hint: 'Make one with: openssl rand -base64 32. Keep a copy outside n8n: without it nobody can read what is stored with it',
	});
}

/**
 * Refuses to send a key in the clear.
 *
 * @param endpoint nothing for Amazon's own.
 * @throws LifeboatError `INVALID_OPTION`.
 */
export function assertSecret(endpoint: URL | undefined): void {
	if (endpoint?.protocol !== 'http:') return;
	throw new LifeboatError(
		'INVALID_OPTION',
		`The customer key is not sent to ${endpoint.host}, since anybody on the way could read it`,
		{ hint: 'Use an endpoint with https, or another server-side encryption' },
	);
}

/**
 * Sends a key with every request that needs it, in place of fields in each of the SDK's inputs. What was stored without a key is still
 * read: services refuse a key where there is nothing to decrypt with it.
 */
export function useCustomerKey(client: S3Client, key: string): void {
	client.middlewareStack.add(
		(next, { commandName = '' }) =>
			async (args) => {
				const isReading = reading.has(commandName);
				if (!isReading && !writing.has(commandName)) return await next(args);
				const encrypted = { SSECustomerAlgorithm: 'AES256', SSECustomerKey: key };
				try {
					return await next({ ...args, input: { ...args.input, ...encrypted } });
				} catch (error) {
					if (!isReading || !isRefusal(error)) throw error;
					if (!hasStatus(error, 400)) throw refused(error);
					return await next(args).catch((other: unknown) => {
						throw isRefusal(other) ? refused(error) : other;
					});
				}
			},
		{ step: 'initialize', priority: 'high', name: 'customerKey' },
	);
}

function isRefusal(error: unknown): error is S3ServiceException {
	return error instanceof S3ServiceException && hasStatus(error, 400, 403) && refusals.test(error.name);
}

/** Under the name by which it is explained. */
function refused(error: S3ServiceException): S3ServiceException {
	error.name = 'CustomerKeyRefused';
	return error;
}
