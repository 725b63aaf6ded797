import { S3Client } from '@aws-sdk/client-s3';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';

import { LifeboatError } from '../../errors';

import type { S3Settings } from './settings';

/** One bucket, and the way to it. */
export interface S3Target {
	readonly client: S3Client;
	readonly bucket: string;
	/** `bucket backups at s3.example.com`. */
	readonly description: string;
	/** Whether the service is known to heed `If-None-Match` when it completes a multipart upload. */
	readonly conditionalCompletion: boolean;
	/** All parts of an upload but the last must have the same size (Cloudflare R2). */
	readonly equalParts: boolean;
	/** Milliseconds without a byte after which a connection counts as dead. */
	readonly timeout: number;
	/** Milliseconds for which an outage in the middle of a transfer is bridged. */
	readonly patience: number;
}

/** Opens no connection yet. @throws LifeboatError `INVALID_OPTION` for an endpoint that is no address. */
export function s3Target(settings: S3Settings): S3Target {
	const endpoint = settings.endpoint?.trim() ? parseEndpoint(settings.endpoint.trim()) : undefined;
	const host = endpoint?.host ?? '';
	const isAmazon = !endpoint || /(^|\.)amazonaws\.com(\.cn)?$/.test(host);
	const isCloudflare = host.endsWith('.r2.cloudflarestorage.com');
	const timeout = settings.timeout ?? 60_000;
	const region = settings.region.trim() || 'us-east-1';
	return {
		client: createClient(settings, region, endpoint, timeout),
		bucket: settings.bucket,
		description: `bucket ${settings.bucket} at ${endpoint ? host : `Amazon S3 in ${region}`}`,
		conditionalCompletion: isAmazon || isCloudflare,
		equalParts: isCloudflare,
		timeout,
		patience: settings.patience ?? 120_000,
	};
}

function createClient(
	settings: S3Settings,
	region: string,
	endpoint: URL | undefined,
	timeout: number,
): S3Client {
	const { accessKeyId, secretAccessKey, sessionToken, forcePathStyle, ignoreTlsErrors, ca } = settings;
	const agent = { keepAlive: true, maxSockets: 64 };
	return new S3Client({
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
}

function parseEndpoint(text: string): URL {
	const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`);
	if (url && ['http:', 'https:'].includes(url.protocol)) return url;
	throw new LifeboatError('INVALID_OPTION', 'The S3 endpoint is not an address', {
		hint: 'Give it as https://host or https://host:port, without the bucket',
	});
}
