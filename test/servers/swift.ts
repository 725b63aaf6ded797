import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

import { freePort } from './ports';
import { isListening, runCommand, startProcess, waitUntil, type ServerProcess } from './process';
import type { S3ServerSettings } from './radosgw';

/** A real S3 service of the older kind on a free loopback port: OpenStack's Swift with s3api, on one disk. */
export interface SwiftServer {
	readonly endpoint: string;
	readonly client: S3Client;
	/** Makes an empty bucket and returns the settings for it. */
	bucket(name?: string): Promise<S3ServerSettings>;
	/** Ends the servers and removes all they stored. */
	stop(): Promise<void>;
}

const kinds = ['account', 'container', 'object'] as const;

/**
 * Starts Swift (Debian: swift-proxy, swift-account, swift-container, swift-object, memcached), in about 6 s. The folder of temporary
 * files must be on a file system with extended attributes.
 */
export async function startSwift(): Promise<SwiftServer> {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-swift-'));
	const servers: ServerProcess[] = [];
	const stop = async () => {
		// Their workers end with them only when asked politely.
		await Promise.all(servers.toReversed().map((server) => server.stop()));
		await rm(folder, { recursive: true, force: true });
	};
	try {
		const port = await startServers(folder, servers);
		const endpoint = `http://127.0.0.1:${port}`;
		const access = { accessKeyId: 'test:tester', secretAccessKey: 'secret-of-the-test-server' };
		const settings = { endpoint, ...access, region: 'us-east-1', forcePathStyle: true } as const;
		const client = new S3Client({
			...{ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: access },
			requestChecksumCalculation: 'WHEN_REQUIRED',
			responseChecksumValidation: 'WHEN_REQUIRED',
		});
		return {
			...{ endpoint, client },
			async bucket(name = `test-${randomUUID()}`) {
				await client.send(new CreateBucketCommand({ Bucket: name }));
				return { ...settings, bucket: name };
			},
			async stop() {
				client.destroy();
				await stop();
			},
		};
	} catch (error) {
		await stop();
		throw error;
	}
}

async function startServers(folder: string, servers: ServerProcess[]): Promise<number> {
	const ports = { account: 0, container: 0, object: 0, memcached: 0, proxy: 0 };
	for (const name of Object.keys(ports) as Array<keyof typeof ports>) ports[name] = await freePort();
	const etc = join(folder, 'etc');
	for (const name of ['etc', 'node', 'node/d1', 'lock', 'cache']) await mkdir(join(folder, name));
	const start = (name: string, program: string, ...args: string[]) => {
		const server = startProcess(program, args, join(folder, `${name}.out`));
		servers.push(server);
		return server;
	};
	const user = userInfo().username;
	start('memcached', 'memcached', '-l', '127.0.0.1', '-p', String(ports.memcached), '-m', '64', '-u', user);
	for (const kind of kinds) {
		await writeFile(join(etc, `${kind}-server.conf`), storageServer(folder, user, kind, ports[kind]));
		const ring = async (...args: string[]) => {
			await runCommand('swift-ring-builder', [`${kind}.builder`, ...args], { cwd: etc });
		};
		await ring('create', '2', '1', '1');
		await ring('add', `r1z1-127.0.0.1:${ports[kind]}/d1`, '1');
		await ring('rebalance');
		start(kind, `swift-${kind}-server`, join(etc, `${kind}-server.conf`));
	}
	const config = join(etc, 'proxy-server.conf');
	await writeFile(config, proxyServer(folder, user, ports));
	const proxy = start('proxy', 'swift-proxy-server', config);
	const health = `http://127.0.0.1:${ports.proxy}/healthcheck`;
	const isHealthy = async () => (await isListening(ports.proxy)) && (await fetch(health)).ok;
	await waitUntil('swift-proxy-server', isHealthy, proxy);
	return ports.proxy;
}

function storageServer(folder: string, user: string, kind: (typeof kinds)[number], port: number): string {
	return `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
user = ${user}
swift_dir = ${folder}/etc
devices = ${folder}/node
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_name = ${kind}
log_address = ${folder}/none
log_level = ERROR
[pipeline:main]
pipeline = ${kind}-server
[app:${kind}-server]
use = egg:swift#${kind}
recon_cache_path = ${folder}/cache
replication_lock_dir = ${folder}/lock
[${kind}-replicator]
[${kind}-updater]
`;
}

function proxyServer(folder: string, user: string, ports: { proxy: number; memcached: number }): string {
	const filters =
		'catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy slo dlo';
	const plain = [
		'catch_errors',
		'gatekeeper',
		'healthcheck',
		'listing_formats',
		'bulk',
		'copy',
		'slo',
		'dlo',
	];
	return `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${ports.proxy}
workers = 0
user = ${user}
swift_dir = ${folder}/etc
log_name = proxy
log_address = ${folder}/none
log_level = ERROR
[pipeline:main]
pipeline = ${filters} proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
${plain.map((name) => `[filter:${name}]\nuse = egg:swift#${name}\n`).join('')}
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${ports.memcached}
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
check_bucket_owner = false
allow_multipart_uploads = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = secret-of-the-test-server .admin
`;
}
