import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { PostgresServer } from './postgres';
import { freePort } from './ports';
import { isListening, startProcess, waitUntil } from './process';

const nobody = 65534;

/** A pooler in front of a real server. */
export interface PgBouncer {
	readonly port: number;
	stop(): Promise<void>;
}

/** Starts PgBouncer (Debian: pgbouncer) on a free loopback port. */
export async function startPgBouncer(
	server: PostgresServer,
	poolMode: 'session' | 'transaction' | 'statement',
	settings: Record<string, string> = {},
): Promise<PgBouncer> {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-pgbouncer-'));
	const port = await freePort();
	const users = join(folder, 'users.txt');
	await writeFile(users, `"${server.user}" "${server.password}"\n`);
	const all: Record<string, string> = {
		...{
			listen_addr: '127.0.0.1',
			listen_port: String(port),
			unix_socket_dir: '',
			auth_type: 'scram-sha-256',
		},
		...{ auth_file: users, pool_mode: poolMode, default_pool_size: '5', ...settings },
	};
	const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
	const config = join(folder, 'pgbouncer.ini');
	await writeFile(
		config,
		`[databases]\n* = host=127.0.0.1 port=${server.port}\n[pgbouncer]\n${lines.join('\n')}\n`,
	);
	const isRoot = process.getuid?.() === 0;
	if (isRoot) {
		// It does not run as root.
		await chmod(folder, 0o755);
		for (const file of [folder, users, config]) await chown(file, nobody, nobody);
	}
	const pooler = startProcess('/usr/sbin/pgbouncer', [config], join(folder, 'log'), {
		...(isRoot ? { uid: nobody, gid: nobody } : {}),
	});
	await waitUntil('PgBouncer', async () => isListening(port), pooler);
	return {
		port,
		async stop() {
			await pooler.stop('SIGINT');
			await rm(folder, { recursive: true, force: true });
		},
	};
}
