import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Certificate } from './certificate';
import { freePort } from './ports';
import { isListening, startProcess, waitUntil, type ServerProcess } from './process';

/** What Azure clients need. The very settings of `azureStorage`. */
export interface AzureServerSettings {
	account: string;
	key: string;
	container: string;
	endpoint: string;
}

export interface AzuriteOptions {
	/** It then speaks TLS only. */
	tls?: Certificate;
}

/** Microsoft's own emulator of Azure Blob Storage on a free loopback port. */
export interface AzuriteServer {
	readonly endpoint: string;
	/** For what the storage itself doesn't do. */
	readonly client: BlobServiceClient;
	/** Makes an empty container and returns the settings for it. */
	container(): Promise<AzureServerSettings>;
	stop(): Promise<void>;
}

const account = 'devstoreaccount1';
/** The emulator's well-known key. */
const key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** Starts its blob service alone (npm: azurite), in about 1 s. */
export async function startAzurite({ tls }: AzuriteOptions = {}): Promise<AzuriteServer> {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-azurite-'));
	let server: ServerProcess | undefined;
	const stop = async () => {
		await server?.stop('SIGKILL');
		await rm(folder, { recursive: true, force: true });
	};
	try {
		const port = await freePort();
		const main = join(__dirname, '../../node_modules/azurite/dist/src/blob/main.js');
		const options = ['--silent', '--disableTelemetry', '--skipApiVersionCheck'];
		const address = ['--blobHost', '127.0.0.1', '--blobPort', String(port), '--location', folder];
		const secure = tls ? ['--cert', tls.cert, '--key', tls.key] : [];
		server = startProcess(
			process.execPath,
			[main, ...options, ...address, ...secure],
			join(folder, 'out.log'),
		);
		await waitUntil('azurite', () => isListening(port), server);
		const endpoint = `${tls ? 'https' : 'http'}://127.0.0.1:${port}/${account}`;
		// The SDK takes an agent, though its types don't say so.
		const trusting = { userAgentOptions: {}, ...(tls && { agent: new Agent({ ca: tls.pem }) }) };
		const client = new BlobServiceClient(endpoint, new StorageSharedKeyCredential(account, key), trusting);
		return {
			...{ endpoint, client, stop },
			async container() {
				const container = `test-${randomUUID()}`;
				await client.createContainer(container);
				return { account, key, container, endpoint };
			},
		};
	} catch (error) {
		await stop();
		throw error;
	}
}
