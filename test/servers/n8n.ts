import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Client } from 'pg';

import { N8nClient } from './n8n-client';
import { freePort } from './ports';
import type { PostgresServer } from './postgres';

const root = join(__dirname, '../..');
const n8nProgram = join(root, 'test/n8n/node_modules/n8n/bin/n8n');

export interface N8nServerOptions {
	/** Where n8n keeps its own data, in the given database. */
	postgres: PostgresServer;
	/** `n8n` unless given; created where it is missing. */
	database?: string;
	/** Its home. A fresh one, removed at the end, unless given. */
	userFolder?: string;
	/** Folders that nodes may read and write. n8n's default, `~/.n8n-files`, unless given. */
	restrictFileAccessTo?: string[];
	/** More settings. */
	env?: Record<string, string>;
	/** Any free one unless given. */
	port?: number;
	/** Whether the project's package (as built, in dist) is installed. True unless given. */
	withPackage?: boolean;
	/** Called with each line of its log. */
	onLog?: (line: string) => void;
	/** Gives up starting. */
	signal?: AbortSignal;
}

/** A real n8n on a free loopback port. */
export interface N8nServer {
	/** Address of the editor, without a slash at its end. */
	readonly url: string;
	readonly pid: number;
	readonly userFolder: string;
	/** What it has logged so far. */
	log(): string;
	/** A client that is logged in as the owner. */
	login(): Promise<N8nClient>;
	/** Ends it, and removes its folder if it is one of ours. */
	stop(): Promise<void>;
}

/** Starts n8n and waits until it answers. */
export async function startN8n(options: N8nServerOptions): Promise<N8nServer> {
	const { postgres, database = 'n8n', withPackage = true, onLog } = options;
	if (!existsSync(n8nProgram))
		throw new Error('n8n is not installed in test/n8n: `npm test` and `npm run demo` install it');
	await createDatabase(postgres, database);
	const userFolder = options.userFolder ?? (await mkdtemp(join(await realpath(tmpdir()), 'lifeboat-n8n-')));
	const port = options.port ?? (await freePort());
	if (withPackage) await installPackage(join(userFolder, '.n8n/nodes/node_modules/n8n-nodes-lifeboat'));

	const logFile = createWriteStream(join(userFolder, 'n8n.log'), { flags: 'a' });
	const [command, args] = whileParentLives(process.execPath, [n8nProgram, 'start']);
	const child = spawn(command, args, {
		cwd: userFolder,
		env: { ...environment(options, userFolder, port, await freePort()), ...options.env },
		stdio: ['ignore', 'pipe', 'pipe'],
		// A group of its own: it has children (task runners), and Ctrl+C in a terminal is for its starter, which stops it in order.
		detached: true,
	});
	const kill = () => killGroup(child, 'SIGKILL');
	process.on('exit', kill);
	let log = '';
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding('utf8').on('data', (text: string) => {
			log += text;
			logFile.write(text);
			for (const line of text.split('\n')) if (line.trim() !== '') onLog?.(line);
		});
	}

	const stop = async () => {
		process.off('exit', kill);
		await end(child);
		await new Promise((resolve) => logFile.end(resolve));
		if (options.userFolder === undefined) await rm(userFolder, { recursive: true, force: true });
	};
	const url = `http://127.0.0.1:${port}`;
	try {
		await ready(child, url, () => log, options.signal);
	} catch (error) {
		await stop();
		throw error;
	}
	return {
		...{ url, pid: child.pid!, userFolder, stop },
		log: () => log,
		login: () => N8nClient.login(url),
	};
}

function environment(options: N8nServerOptions, userFolder: string, port: number, brokerPort: number) {
	const { postgres, database = 'n8n', restrictFileAccessTo } = options;
	// Nothing of the caller's environment that could change n8n; nothing that asks a host outside.
	const inherited = Object.entries(process.env).filter(([name]) => !/^(N8N_|DB_|PG|NODE_|npm_)/.test(name));
	return {
		...Object.fromEntries(inherited),
		...{
			N8N_USER_FOLDER: userFolder,
			N8N_PORT: String(port),
			N8N_HOST: '127.0.0.1',
			N8N_LISTEN_ADDRESS: '127.0.0.1',
		},
		...{ N8N_PROTOCOL: 'http', N8N_SECURE_COOKIE: 'false', N8N_RUNNERS_BROKER_PORT: String(brokerPort) },
		...{
			DB_TYPE: 'postgresdb',
			DB_POSTGRESDB_HOST: postgres.host,
			DB_POSTGRESDB_PORT: String(postgres.port),
		},
		...{
			DB_POSTGRESDB_DATABASE: database,
			DB_POSTGRESDB_USER: postgres.user,
			DB_POSTGRESDB_PASSWORD: postgres.password,
		},
		...{
			N8N_DIAGNOSTICS_ENABLED: 'false',
			N8N_VERSION_NOTIFICATIONS_ENABLED: 'false',
			N8N_TEMPLATES_ENABLED: 'false',
		},
		...{
			N8N_PERSONALIZATION_ENABLED: 'false',
			N8N_HIRING_BANNER_ENABLED: 'false',
			N8N_DISABLED_MODULES: 'mcp-registry',
		},
		...{ TZ: 'UTC', GENERIC_TIMEZONE: 'UTC' },
		...(restrictFileAccessTo && { N8N_RESTRICT_FILE_ACCESS_TO: restrictFileAccessTo.join(';') }),
	};
}

async function createDatabase(postgres: PostgresServer, database: string): Promise<void> {
	const client = new Client(postgres.connection());
	await client.connect();
	try {
		const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
		if (rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(database)}`);
	} finally {
		await client.end();
	}
}

/**
 * Lays the built package where n8n's own installer would: what is published, and beside it its run-time dependencies and
 * nothing else, so that a module which only development has is missed here too (n8n-workflow comes from n8n itself).
 */
async function installPackage(folder: string): Promise<void> {
	const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
		dependencies: Record<string, string>;
		n8n: { nodes: string[] };
	};
	const missing = manifest.n8n.nodes.find((file) => !existsSync(join(root, file)));
	if (missing) throw new Error(`${missing} is not there: run \`npm run build\` first`);
	await rm(folder, { recursive: true, force: true });
	await mkdir(folder, { recursive: true });
	await cp(join(root, 'package.json'), join(folder, 'package.json'));
	await cp(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
	for (const name of Object.keys(manifest.dependencies)) {
		const link = join(folder, 'node_modules', name);
		await mkdir(dirname(link), { recursive: true });
		await symlink(join(root, 'node_modules', name), link);
	}
}

async function ready(
	child: ChildProcess,
	url: string,
	log: () => string,
	signal?: AbortSignal,
): Promise<void> {
	let gone: string | undefined;
	child.on('error', (error) => (gone = error.message));
	child.on('exit', (code, signal) => (gone = `it ended with ${signal ?? `status ${code}`}`));
	// The health check answers before the routes of the editor are there; the log line comes last.
	for (const deadline = Date.now() + 180_000; ; await sleep(100)) {
		signal?.throwIfAborted();
		if (gone !== undefined) throw new Error(`n8n did not start: ${gone}\n${log()}`);
		if (Date.now() > deadline) throw new Error(`n8n was not ready within three minutes\n${log()}`);
		if (!log().includes('Editor is now accessible')) continue;
		const health = await fetch(`${url}/healthz/readiness`).catch(() => undefined);
		if (health?.ok) return;
	}
}

/** Has the kernel kill a program when its starter is gone, even one that was killed itself (asked politely, n8n would spin on its closed log). */
function whileParentLives(command: string, args: string[]): [command: string, args: string[]] {
	const setpriv = '/usr/bin/setpriv';
	return existsSync(setpriv) ? [setpriv, ['--pdeathsig', 'SIGKILL', command, ...args]] : [command, args];
}

/** Asks first; n8n gives running executions 30 seconds by itself. */
async function end(child: ChildProcess): Promise<void> {
	if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
		const exited = once(child, 'exit');
		child.kill('SIGTERM');
		const timer = setTimeout(() => killGroup(child, 'SIGKILL'), 35_000);
		await exited;
		clearTimeout(timer);
	}
	killGroup(child, 'SIGKILL');
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
	if (child.pid === undefined) return;
	try {
		process.kill(-child.pid, signal);
	} catch {
		// Nothing of the group is left.
	}
}
