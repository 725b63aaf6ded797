import { BlobServiceClient, StorageSharedKeyCredential, type ContainerClient } from '@azure/storage-blob';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../../errors';

import { mayPass } from './errors';

/** How to reach a container. */
export interface AzureSettings {
	account: string;
	/** Base64. */
	key: string;
	container: string;
	/** `https://ACCOUNT.blob.core.windows.net` unless given. */
	endpoint?: string;
	/** PEM of a certificate authority of one's own. */
	ca?: string;
	/** Accept a certificate that can't be verified. */
	ignoreTlsErrors?: boolean;
	/** Milliseconds without an answer after which a connection counts as dead; 60,000 unless given. */
	timeout?: number;
	/** Milliseconds for which an outage in the middle of a transfer is bridged; 120,000 unless given. */
	patience?: number;
}

/** One container, and the way to it. */
export interface AzureTarget {
	readonly container: ContainerClient;
	readonly agent: HttpAgent;
	/** `container backups at acme.blob.core.windows.net`. */
	readonly description: string;
	readonly timeout: number;
	readonly patience: number;
	/** Whether the container has shown that it exists: a HEAD tells nothing but 404 of a missing object and container alike. */
	containerSeen?: boolean;
}

/** How often a request is sent before its failure counts. */
const ATTEMPTS = 5;

/** Bytes a second that a living connection sends at least. */
const SLOWEST = 64 * 1024;

/** Opens no connection yet. @throws LifeboatError `INVALID_OPTION` for what is no account, container or address. */
export function azureTarget(settings: AzureSettings): AzureTarget {
	const { account, key, container } = settings;
	const endpoint = URL.parse(settings.endpoint?.trim() || `https://${account}.blob.core.windows.net`);
	if (!/^[a-z0-9]{3,24}$/.test(account) || !endpoint || !/^https?:$/.test(endpoint.protocol)) {
		throw new LifeboatError(
			'INVALID_OPTION',
			'The account of the Azure storage, or its endpoint, is not valid',
			{
				hint: 'The account is a name of small letters and digits; an endpoint is given as https://host',
			},
		);
	}
	if (!/^(\$root|[a-z0-9](-?[a-z0-9])+)$/.test(container)) {
		throw new LifeboatError('INVALID_OPTION', `${container} cannot be the name of an Azure container`, {
			hint: 'It has small letters, digits and single hyphens',
		});
	}
	const { origin, pathname } = endpoint;
	const agent = agentFor(endpoint, settings);
	const options = {
		// Its connections end with the storage. The pipeline takes it, though the SDK's types don't say so.
		agent,
		// Repeated here, where it is known what may be.
		retryOptions: { maxTries: 1 },
		userAgentOptions: { userAgentPrefix: 'n8n-nodes-lifeboat' },
	};
	const service = new BlobServiceClient(
		`${origin}${pathname.replace(/\/+$/, '')}`,
		new StorageSharedKeyCredential(account, key),
		options,
	);
	return {
		agent,
		container: service.getContainerClient(container),
		description: `container ${container} at ${endpoint.host}`,
		timeout: settings.timeout ?? 60_000,
		patience: settings.patience ?? 120_000,
	};
}

function agentFor({ protocol }: URL, { ca, ignoreTlsErrors }: AzureSettings): HttpAgent {
	const options = { keepAlive: true, maxSockets: 32 };
	if (protocol === 'http:') return new HttpAgent(options);
	return new HttpsAgent({ ...options, ...(ca && { ca }), rejectUnauthorized: !ignoreTlsErrors });
}

/**
 * Sends one request.
 *
 * @param bytes that it carries: it gets time for them.
 * @throws what the SDK throws, or an error with the code `ETIMEDOUT`.
 */
export async function once<Result>(
	{ timeout }: AzureTarget,
	signal: AbortSignal | undefined,
	run: (abortSignal: AbortSignal) => Promise<Result>,
	bytes = 0,
): Promise<Result> {
	signal?.throwIfAborted();
	const late = new AbortController();
	const timer = setTimeout(() => late.abort(), timeout + (1000 * bytes) / SLOWEST);
	try {
		return await run(signal ? AbortSignal.any([signal, late.signal]) : late.signal);
	} catch (error) {
		if (signal?.aborted || !late.signal.aborted) throw error;
		throw Object.assign(new Error('The service does not answer', { cause: error }), { code: 'ETIMEDOUT' });
	} finally {
		clearTimeout(timer);
	}
}

/** Sends a request that may be sent twice, again with backoff while the trouble may pass. */
export async function repeat<Result>(
	target: AzureTarget,
	signal: AbortSignal | undefined,
	run: (abortSignal: AbortSignal) => Promise<Result>,
): Promise<Result> {
	for (let attempt = 1; ; attempt += 1) {
		try {
			return await once(target, signal, run);
		} catch (error) {
			if (signal?.aborted || attempt === ATTEMPTS || !mayPass(error)) throw error;
		}
		const delay = (0.5 + Math.random() / 2) * 100 * 2 ** attempt;
		await sleep(delay, undefined, signal && { signal });
	}
}
