import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
	lstat,
	mkdir,
	mkdtemp,
	readdir,
	readFile,
	readlink,
	realpath,
	rm,
	symlink,
	writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { Client } from 'pg';

import type { PostgresServer } from '../servers/postgres';

export const exec = promisify(execFile);

/** A folder that the file rules of a run may allow, removed by `remove`. */
export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
	const path = await realpath(await mkdtemp(join(tmpdir(), 'lifeboat-nodes-')));
	return { path, remove: async () => await rm(path, { recursive: true, force: true }) };
}

/** Runs statements, each with a connection of its own. */
export async function sql(
	server: PostgresServer,
	database: string,
	...statements: string[]
): Promise<unknown[][]> {
	const client = new Client(server.connection(database));
	await client.connect();
	try {
		let rows: unknown[][] = [];
		for (const text of statements) ({ rows } = await client.query({ text, rowMode: 'array' }));
		return rows;
	} finally {
		await client.end();
	}
}

/** A small shop with what an ordinary database has: keys, a sequence, a view, an index, a function, odd texts. */
export async function createShop(server: PostgresServer, database: string, orders = 2000): Promise<void> {
	await sql(server, 'postgres', `CREATE DATABASE "${database}"`);
	await sql(
		server,
		database,
		`CREATE TYPE state AS ENUM ('new', 'paid', 'sent')`,
		`CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, note jsonb)`,
		`INSERT INTO customers (name, note) SELECT 'Käufer ' || n || E'\\t\\n\\\\.', jsonb_build_object('n', n)
			FROM generate_series(1, 200) n`,
		`CREATE TABLE orders (id bigserial PRIMARY KEY, customer int NOT NULL REFERENCES customers, total numeric(10, 2), state state)`,
		`INSERT INTO orders (customer, total, state) SELECT 1 + n % 200, n / 7.0, (ARRAY['new', 'paid', 'sent'])[1 + n % 3]::state
			FROM generate_series(1, ${orders}) n`,
		`CREATE INDEX ON orders (customer)`,
		`CREATE TABLE "Leere Tabelle" (a int)`,
		`CREATE VIEW paid AS SELECT * FROM orders WHERE state = 'paid'`,
		`CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS $$ SELECT 2 * n; $$`,
	);
}

/** Everything that counts in a database, as one text: rows in order, and definitions as pg_dump tells them. */
export async function describeDatabase(server: PostgresServer, database: string): Promise<string> {
	const { stdout } = await exec('pg_dump', ['--no-sync', '--inserts', database], {
		env: server.env(database),
		maxBuffer: 256 * 1024 * 1024,
	});
	// A random key guards psql's prompt in newer dumps.
	return stdout.replaceAll(/^\\(un)?restrict .*$/gm, '');
}

/** A folder with what an ordinary one has: nested folders, an empty file and folder, odd names, a link, some bytes. */
export async function createFiles(folder: string): Promise<void> {
	await mkdir(join(folder, 'a/b/leer'), { recursive: true });
	await writeFile(join(folder, 'a/empty'), '');
	await writeFile(join(folder, 'a/größe 100%.txt'), 'Grüße\n', { mode: 0o640 });
	await writeFile(join(folder, `a/b/${'n'.repeat(120)}.bin`), Buffer.alloc(300_000, 'lifeboat'));
	await writeFile(join(folder, '.hidden'), 'hidden', { mode: 0o600 });
	await writeFile(join(folder, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 });
	await symlink('größe 100%.txt', join(folder, 'a/link'));
}

/** Every entry below a folder: kind, permissions, modification time in seconds, and content's hash or link's target. */
export async function describeFiles(folder: string): Promise<string[]> {
	const names = (await readdir(folder, { recursive: true })).sort();
	return await Promise.all(
		names.map(async (name) => {
			const path = join(folder, name);
			const stat = await lstat(path);
			if (stat.isSymbolicLink()) return `${name} -> ${await readlink(path)}`;
			const mode = (stat.mode & 0o777).toString(8);
			if (stat.isDirectory()) return `${name}/ ${mode}`;
			const hash = createHash('sha256')
				.update(await readFile(path))
				.digest('hex');
			return `${name} ${mode} ${Math.floor(stat.mtimeMs / 1000)} ${hash}`;
		}),
	);
}

/** The n8n credential of a test server. */
export const postgresCredential = (server: PostgresServer, database = 'postgres') => ({
	...server.connection(database),
	...{ ssl: 'disable', allowUnauthorizedCerts: false, sshTunnel: false, maxConnections: 100 },
});

/** What is left in the staging folder of a run. Empty is what every end of an execution must leave. */
export async function staged(allowedFolder: string): Promise<string[]> {
	return await readdir(join(allowedFolder, 'lifeboat-staging'), { recursive: true }).catch(() => []);
}

/** As `staged`, once nothing is there any more or 5 s have passed: n8n doesn't wait for the handlers of a cancelled execution. */
export async function stagedInTheEnd(allowedFolder: string): Promise<string[]> {
	for (const deadline = Date.now() + 5000; Date.now() < deadline; await sleep(20)) {
		if ((await staged(allowedFolder)).length === 0) return [];
	}
	return await staged(allowedFolder);
}
