import { S3Client } from '@aws-sdk/client-s3';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';

import { LifeboatError } from '../../errors';

import type { ChecksumName } from './checksums';
import { assertSecret, parseCustomerKey, useCustomerKey } from './customer-key';
import { providerOf, type S3Provider } from './providers';
import type { S3Settings, S3WriteSettings } from './settings';

/** One bucket, and the way to it. */
export interface S3Target {
	readonly client: S3Client;
	readonly bucket: string;
	/** `bucket backups at s3.example.com`. */
	readonly description: string;
	/** Whether the service heeds `If-None-Match` when an object is put, or says that it doesn't. */
	readonly conditionalPut: boolean;
	/** Whether the service is known to heed `If-None-Match` when it completes a multipart upload. */
	readonly conditionalCompletion: boolean;
	/** All parts of an upload but the last must have the same size. */
	readonly equalParts: boolean;
	/** With which checksum the service is asked to compare what it receives. */
	readonly checksum: ChecksumName;
	readonly write: S3WriteSettings;
	/** Milliseconds without a byte after which a connection counts as dead. */
	readonly timeout: number;
	/** Milliseconds for which an outage in the middle of a transfer is bridged. */
	readonly patience: number;
	/** Milliseconds without a sign of life after which another run's claim counts as that of a dead process. */
	readonly claimLifetime: number;
}

/**
 * Opens no connection yet.
 *
 * @throws LifeboatError `INVALID_OPTION` for an endpoint that is no address, or one that is missing.
 */
export function s3Target(settings: S3Settings): S3Target {
	const { provider: name, accountId } = settings;
	const given = settings.endpoint?.trim() ? parseEndpoint(settings.endpoint.trim()) : undefined;
	const provider = providerOf(name, given?.host);
	const region = provider.region ?? (settings.region.trim() || 'us-east-1');
	const endpoint = given ?? providerEndpoint(name, provider, region, accountId);
	const timeout = settings.timeout ?? 60_000;
	const customerKey = settings.customerKey === undefined ? undefined : parseCustomerKey(settings.customerKey);
	if (customerKey !== undefined) assertSecret(endpoint);
	const forcePathStyle = (settings.forcePathStyle ?? false) || (provider.forcePathStyle ?? false);
	const client = createClient({ ...settings, forcePathStyle }, region, endpoint, timeout);
	if (customerKey !== undefined) useCustomerKey(client, customerKey);
	return {
		client,
		bucket: settings.bucket,
		description: `bucket ${settings.bucket} at ${endpoint ? endpoint.host : `Amazon S3 in ${region}`}`,
		conditionalPut: provider.conditionalPut ?? false,
		conditionalCompletion: provider.conditionalCompletion ?? false,
		equalParts: provider.equalParts ?? false,
		checksum: provider.sha256 ? 'SHA-256' : 'MD5',
		write: settings,
		timeout,
		patience: settings.patience ?? 120_000,
		claimLifetime: settings.claimLifetime ?? 60_000,
	};
}

function providerEndpoint(
	name: S3Settings['provider'],
	provider: S3Provider,
	region: string,
	accountId: string | undefined,
): URL | undefined {
	if (name === 'r2' && accountId) return parseEndpoint(`${accountId}.r2.cloudflarestorage.com`);
	if (provider.endpoint) return parseEndpoint(provider.endpoint(region));
	if (name === undefined || name === 'aws') return undefined;
	throw new LifeboatError('INVALID_OPTION', 'The endpoint of the S3 service is missing', {
		hint:
			name === 'r2'
				? 'Fill in the Account ID, or the endpoint in the credential'
				: 'Give it in the credential as https://host or https://host:port, without the bucket',
	});
}

function createClient(
	settings: S3Settings,
	region: string,
	endpoint: URL | undefined,
	timeout: number,
): S3Client {
	const { accessKeyId, secretAccessKey, sessionToken, forcePathStyle, ignoreTlsErrors, ca } = settings;
	const agent = { keepAlive: true, maxSockets: 64 };
	const client = new S3Client({
		region,
		...(endpoint && { endpoint: endpoint.href }),
		credentials: { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) },
		forcePathStyle: forcePathStyle ?? false,
		// Only Amazon's own service understands the checksum trailers that are added otherwise; others answer 411 or 501.
		requestChecksumCalculation: 'WHEN_REQUIRED',
		responseChecksumValidation: 'WHEN_REQUIRED',
		// Services that don't know `Expect: 100-continue` would delay each part by seconds.
		expectContinueHeader: false,
		followRegionRedirects: true,
		// Exponential backoff with jitter, for what may be retried.
		retryMode: 'standard',
		maxAttempts: 5,
		requestHandler: {
			connectionTimeout: Math.min(10_000, timeout),
			// Also while a service puts a large upload together, which may take minutes without a byte.
			socketTimeout: 5 * timeout,
			// Agents, not their options: with these the SDK takes another agent, that knows no CA, for large bodies.
			httpAgent: new HttpAgent(agent),
			httpsAgent: new HttpsAgent({ ...agent, ...(ca && { ca }), rejectUnauthorized: !ignoreTlsErrors }),
		},
	});
	if (settings.requesterPays) payAsRequester(client);
	return client;
}

/** Consents to pay in every request, in place of a field in each of the SDK's inputs. */
function payAsRequester(client: S3Client): void {
	client.middlewareStack.add(
		(next) => async (args) => {
			const { headers } = args.request as { headers: Record<string, string> };
			headers['x-amz-request-payer'] = 'requester';
			return await next(args);
		},
		{ step: 'build' },
	);
}

function parseEndpoint(text: string): URL {
	const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`);
	if (url && ['http:', 'https:'].includes(url.protocol)) return url;
	throw new LifeboatError('INVALID_OPTION', 'The S3 endpoint is not an address', {
		hint: 'Give it as https://host or https://host:port, without the bucket',
	});
}
