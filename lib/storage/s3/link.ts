import { GetObjectCommand } from '@aws-sdk/client-s3';

import { LifeboatError } from '../../errors';

import type { S3Target } from './client';

/** What the signature of version 4 allows. */
const LONGEST = 7 * 24 * 3600;

interface SignedRequest {
	protocol: string;
	hostname: string;
	port?: number;
	path: string;
	query?: Record<string, string | string[] | null>;
	headers: Record<string, string>;
}

interface Presigner {
	presign(request: SignedRequest, options: { expiresIn: number }): Promise<SignedRequest>;
}

/**
 * A presigned address of an object ("Authenticating Requests: Using Query Parameters"). Whoever has it may read the object until it expires,
 * or the access key is withdrawn. Nothing is asked of the service.
 *
 * @throws LifeboatError `INVALID_OPTION` for more than seven days.
 */
export async function presignedLink(target: S3Target, key: string, seconds: number): Promise<string> {
	if (!(seconds >= 1 && seconds <= LONGEST)) {
		throw new LifeboatError(
			'INVALID_OPTION',
			'A download link is valid for between a second and seven days',
			{
				hint: 'Choose fewer hours',
			},
		);
	}
	const command = new GetObjectCommand({ Bucket: target.bucket, Key: key });
	let request: SignedRequest | undefined;
	// The SDK has built the request, with the address of bucket and key, but not yet signed or sent it.
	command.middlewareStack.add(
		() => (args) => {
			request = args.request as SignedRequest;
			return Promise.resolve({ response: {}, output: { $metadata: {} } });
		},
		{ step: 'build', priority: 'low', name: 'captureRequest' },
	);
	await target.client.send(command);
	const { hostname, port, headers } = request!;
	const host = port === undefined ? hostname : `${hostname}:${port}`;
	const payer = headers['x-amz-request-payer'];
	// Its type only speaks of what the SDK itself calls.
	const signer = (await target.client.config.signer()) as unknown as Presigner;
	const signed = await signer.presign(
		{
			...request!,
			headers: {
				host,
				'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
				...(payer && { 'x-amz-request-payer': payer }),
			},
		},
		{ expiresIn: Math.floor(seconds) },
	);
	const url = new URL(`${signed.protocol}//${host}${signed.path}`);
	for (const [name, value] of Object.entries(signed.query ?? {})) {
		for (const each of [value].flat()) url.searchParams.append(name, each ?? '');
	}
	return url.href;
}
