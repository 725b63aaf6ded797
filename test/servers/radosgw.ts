import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from './ports';
import { isListening, runCommand, startProcess, waitUntil, type ServerProcess } from './process';

export interface RadosgwOptions {
	/** PEM files: the server then speaks TLS only. */
	tls?: { cert: string; key: string };
}

/** What S3 clients need. The very settings of `s3Storage`. */
export interface S3ServerSettings {
	bucket: string;
	region: string;
	endpoint: string;
	accessKeyId: string;
	secretAccessKey: string;
	forcePathStyle: true;
}

/** A real S3 service on a free loopback port: Ceph's, of one node, in memory. */
export interface RadosgwServer {
	readonly endpoint: string;
	readonly port: number;
	readonly accessKeyId: string;
	readonly secretAccessKey: string;
	/** For what the storage itself doesn't do. */
	readonly client: S3Client;
	/** Makes an empty bucket and returns the settings for it. */
	bucket(name?: string, options?: { objectLock?: boolean }): Promise<S3ServerSettings>;
	/** Makes another user, who owns no bucket. */
	user(): Promise<{ accessKeyId: string; secretAccessKey: string }>;
	/** For `aws` and its kin. */
	env(): NodeJS.ProcessEnv;
	/** Ends the servers and removes all they stored. */
	stop(): Promise<void>;
}

/** Starts monitor, object store and gateway (Debian: ceph-mon, ceph-osd, radosgw), in about 1.5 s. */
export async function startRadosgw({ tls }: RadosgwOptions = {}): Promise<RadosgwServer> {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-radosgw-'));
	const servers: ServerProcess[] = [];
	const stop = async () => {
		// Nothing has to be saved, and an orderly end takes seconds.
		for (const server of servers.toReversed()) await server.stop('SIGKILL');
		await rm(folder, { recursive: true, force: true });
	};
	try {
		const access = { accessKeyId: 'TESTACCESSKEY', secretAccessKey: 'secret-of-the-test-server' };
		const port = await startServers(folder, servers, access, tls);
		const endpoint = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
		const settings = { endpoint, ...access, region: 'us-east-1', forcePathStyle: true } as const;
		const client = new S3Client({
			...{ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: access },
			requestChecksumCalculation: 'WHEN_REQUIRED',
			responseChecksumValidation: 'WHEN_REQUIRED',
			...(tls && { requestHandler: { httpsAgent: { rejectUnauthorized: false } } }),
		});
		return {
			...{ endpoint, port, client, ...access },
			async bucket(name = `test-${randomUUID()}`, { objectLock = false } = {}) {
				await client.send(
					new CreateBucketCommand({ Bucket: name, ...(objectLock && { ObjectLockEnabledForBucket: true }) }),
				);
				return { ...settings, bucket: name };
			},
			async user() {
				const name = `user${randomUUID().slice(0, 8)}`;
				const other = { accessKeyId: name.toUpperCase(), secretAccessKey: `secret-of-${name}` };
				const admin = ['-c', join(folder, 'ceph.conf'), 'user', 'create', `--uid=${name}`];
				await runCommand('radosgw-admin', [...admin, `--display-name=${name}`, ...keys(other)]);
				return other;
			},
			env: () => ({
				...process.env,
				AWS_ACCESS_KEY_ID: access.accessKeyId,
				AWS_SECRET_ACCESS_KEY: access.secretAccessKey,
				AWS_DEFAULT_REGION: 'us-east-1',
				AWS_ENDPOINT_URL: endpoint,
			}),
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

async function startServers(
	folder: string,
	servers: ServerProcess[],
	access: { accessKeyId: string; secretAccessKey: string },
	tls: RadosgwOptions['tls'],
): Promise<number> {
	const fsid = randomUUID();
	const [v2, v1, port] = [await freePort(), await freePort(), await freePort()];
	const config = join(folder, 'ceph.conf');
	for (const name of ['mon', 'osd', 'run', 'run/rgw', 'log']) await mkdir(join(folder, name));
	const monitors = `[v2:127.0.0.1:${v2},v1:127.0.0.1:${v1}]`;
	const frontend = tls
		? `beast ssl_endpoint=127.0.0.1:${port} ssl_certificate=${tls.cert} ssl_private_key=${tls.key}`
		: `beast endpoint=127.0.0.1:${port} tcp_nodelay=1`;
	await writeFile(config, configuration({ folder, fsid, monitors, frontend }));
	await writeFile(join(folder, 'keyring'), '');

	const run = (program: string, ...args: string[]) => runCommand(program, ['-c', config, ...args]);
	const start = (program: string, ...args: string[]) => {
		const log = join(folder, 'log', `${program}.out`);
		const server = startProcess(program, ['-c', config, ...args, '-f'], log);
		servers.push(server);
		return server;
	};
	const map = join(folder, 'monmap');
	await runCommand('monmaptool', ['--create', '--clobber', '--fsid', fsid, '--addv', 'a', monitors, map]);
	await run('ceph-mon', '--id', 'a', '--mkfs', '--monmap', map, '--keyring', join(folder, 'keyring'));
	const monitor = start('ceph-mon', '--id', 'a');
	const quorum = () => run('ceph', '--connect-timeout', '2', 'quorum_status');
	await waitUntil('ceph-mon', () => succeeds(quorum), monitor);
	const osdId = randomUUID();
	await run('ceph', 'osd', 'new', osdId);
	await run('ceph-osd', '--id', '0', '--mkfs', '--osd-uuid', osdId);
	const osd = start('ceph-osd', '--id', '0');
	await waitUntil('ceph-osd', async () => (await run('ceph', 'osd', 'stat')).includes('1 up'), osd);
	await run('radosgw-admin', 'user', 'create', '--uid=test', '--display-name=test', ...keys(access));
	const gateway = start('radosgw', '-n', 'client.rgw');
	await waitUntil('radosgw', () => isListening(port), gateway);
	return port;
}

function keys(access: { accessKeyId: string; secretAccessKey: string }): string[] {
	return [`--access-key=${access.accessKeyId}`, `--secret-key=${access.secretAccessKey}`];
}

async function succeeds(run: () => Promise<unknown>): Promise<boolean> {
	try {
		await run();
		return true;
	} catch {
		return false;
	}
}

interface Configuration {
	folder: string;
	fsid: string;
	monitors: string;
	frontend: string;
}

/** No authentication inside, one copy of everything, all in memory, and no waiting: nothing has to last. */
function configuration({ folder, fsid, monitors, frontend }: Configuration): string {
	return `[global]
fsid = ${fsid}
mon initial members = a
mon host = ${monitors}
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = true
ms mon client mode = crc
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = ${folder}/run
admin socket = ${folder}/run/$cluster-$name.$pid.asok
pid file = ${folder}/run/$name.pid
log file = ${folder}/log/$name.log
crash dir = ${folder}/log
keyring = ${folder}/keyring
mon data = ${folder}/mon
mon cluster log file = ${folder}/log/cluster.log
mon data avail warn = 1
mon data avail crit = 1
mon allow pool size one = true
mon max pg per osd = 1000
mon osd min in ratio = 0
paxos propose interval = 0.05
paxos min wait = 0.01
osd data = ${folder}/osd
osd objectstore = memstore
memstore device bytes = 6442450944
osd max object name len = 2048
osd max object namespace len = 256
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd class update on start = false
rgw frontends = ${frontend}
rgw crypt require ssl = false
rgw thread pool size = 64
rgw init timeout = 60
rgw data = ${folder}/run/rgw
`;
}
