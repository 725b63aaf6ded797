import assert from 'node:assert/strict';
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buffer } from 'node:stream/consumers';

import { LifeboatError } from '../../../../../lib/errors';
import { postgresEngine, type PostgresDumpOptions } from '../../../../../lib/databases/postgres';
import type { PostgresConnection } from '../../../../../lib/databases/postgres/connection';
import { findPgDump } from '../../../../../lib/databases/postgres/client/program';
import { startClientDump } from '../../../../../lib/databases/postgres/client/client-dump';
import { makeCertificate } from '../../../../servers/certificate';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';
import { assertSameText, nativeDumpText, normalizeDump, psql, withClient, withFolder } from '../helpers';
import { systemErrorCode } from '../../../../system-error-code';

const torture = join(__dirname, '..', 'restore', 'torture.sql');

async function dump(connection: PostgresConnection, options: PostgresDumpOptions, signal?: AbortSignal) {
	const prepared = await postgresEngine.prepareDump(connection, options, { signal });
	const production = await prepared.start();
	const bytes = await buffer(production.stream);
	return { bytes, ...(await production.finish()) };
}

describe('a dump by an installed pg_dump', () => {
	let server: PostgresServer;
	const client = {};

	before(async () => {
		server = await startPostgres({ version: 15, settings: { wal_level: 'logical' } });
		await psql(server, 'postgres', { sql: 'CREATE ROLE reader; CREATE ROLE owner; CREATE ROLE "Ö; owner"' });
		await psql(server, 'postgres', { sql: `CREATE DATABASE "so'u\\rce = x" TEMPLATE template0` });
		await psql(server, "so'u\\rce = x", { file: torture });
	});
	after(async () => server.stop());
	const source = () => server.connection("so'u\\rce = x");

	test('is that of pg_dump, and its tables and sequences are counted as the built-in engine counts them', async () => {
		const builtIn = await dump(source(), {});
		const plain = await dump(source(), { client });
		assertSameText(
			normalizeDump(await nativeDumpText(server, "so'u\\rce = x")),
			normalizeDump(plain.bytes.toString('latin1')),
		);
		const sorted = (list: { schema: string; name: string }[] = []) =>
			list.toSorted((a, b) => (`${a.schema}.${a.name}` < `${b.schema}.${b.name}` ? -1 : 1));
		for (const archiveCompression of ['none', 'gzip'] as const) {
			const custom = await dump(source(), { client, format: 'custom', archiveCompression });
			assert.equal(custom.bytes.toString('latin1', 0, 5), 'PGDMP');
			for (const found of [plain, custom]) {
				assert.deepEqual(sorted(found.tables), sorted(builtIn.tables));
				assert.deepEqual(sorted(found.sequences), sorted(builtIn.sequences));
			}
		}
		assert.ok(builtIn.tables!.some(({ rows }) => rows === 500));
		const some = await dump(source(), { client, tables: ['orders'], noOwner: true, largeObjects: false });
		assert.deepEqual(
			some.tables!.map(({ name }) => name),
			['orders'],
		);
		assert.doesNotMatch(some.bytes.toString(), /OWNER TO|lo_create/);
	});

	test('is refused where the program is missing, another, or too old for the server', async () => {
		const refused = async (path: string, code: string, message: RegExp) =>
			assert.rejects(postgresEngine.prepareDump(source(), { client: { path } }), (error) => {
				assert.ok(error instanceof LifeboatError && error.hint);
				assert.equal(error.code, code);
				assert.match(error.message, message);
				assert.doesNotMatch(error.message + error.hint, systemErrorCode);
				return true;
			});
		await refused('/nowhere/pg_dump', 'CLIENT_NOT_FOUND', /no program \/nowhere\/pg_dump/);
		await refused('/bin/true', 'CLIENT_NOT_FOUND', /not PostgreSQL's pg_dump/);
		await refused('/etc/passwd', 'CLIENT_NOT_FOUND', /can't be run/);
		const newer = await startPostgres({ version: 16 });
		try {
			await assert.rejects(postgresEngine.prepareDump(newer.connection(), { client }), {
				code: 'SERVER_TOO_NEW',
				message: /is PostgreSQL 16\.\d+; pg_dump is of version 15/,
			});
		} finally {
			await newer.stop();
		}
		for (const options of [
			{ statementTimeoutMs: 1 },
			{ format: 'custom', archiveCompression: 'zstd' },
		] satisfies PostgresDumpOptions[]) {
			await assert.rejects(postgresEngine.prepareDump(source(), { ...options, client }), {
				code: 'OPTIONS_CONFLICT',
			});
		}
	});

	test('shows what pg_dump says where it fails', async () => {
		await assert.rejects(dump(source(), { client, tables: ['no_such_table'] }), {
			code: 'PG_DUMP_FAILED',
			message: /pg_dump says: error: no matching tables were found/,
		});
		await withClient(source(), async (locker) => {
			await locker.query('BEGIN; LOCK TABLE public.orders IN ACCESS EXCLUSIVE MODE');
			await assert.rejects(dump(source(), { client, lockTimeoutMs: 200 }), {
				code: 'TABLE_LOCKED',
				message: /Waiting for public\.orders took too long/,
			});
			const stop = new AbortController();
			setTimeout(() => stop.abort(), 500);
			await assert.rejects(dump(source(), { client, lockTimeoutMs: 0 }, stop.signal), { code: 'CANCELLED' });
		});
	});

	test('is not whole where its end is missing, whatever the program says', async () => {
		await withFolder(async (folder) => {
			const path = join(folder, 'pg_dump');
			// The real one, behind a pipe that loses its end and its exit code.
			const script =
				'#!/bin/bash\n[ "$1" = --version ] && exec pg_dump --version\npg_dump "$@" | head -c 20000\nexit 0\n';
			await writeFile(path, script);
			await chmod(path, 0o755);
			for (const format of ['plain', 'custom'] as const) {
				await assert.rejects(dump(source(), { client: { path }, format }), { code: 'INCOMPLETE' });
			}
			await writeFile(path, script.replace('| head -c 20000\nexit 0', '| cat; exit 3'));
			await assert.rejects(dump(source(), { client: { path } }), { code: 'PG_DUMP_FAILED' });
		});
	});

	test('checks the certificate with the authority that is given, or goes without', async () => {
		const [certificate, other] = await Promise.all([makeCertificate(), makeCertificate()]);
		const secure = await startPostgres({ version: 15, tls: certificate });
		try {
			const connection = (ssl: PostgresConnection['ssl'], sslMode?: PostgresConnection['sslMode']) => ({
				...secure.connection(),
				...{ ssl, sslMode },
			});
			await dump(connection({ ca: certificate.pem }), { client });
			// As through a tunnel: the certificate's name is not that of the near end.
			await dump(connection({ ca: certificate.pem, servername: 'localhost' }), { client });
			await dump(connection({ rejectUnauthorized: false }), { client });
			await dump(connection(false, 'allow'), { client });
			for (const ca of [other.pem, undefined]) {
				const program = await findPgDump();
				const settings = { options: {}, encoding: 'UTF8', program, connection: connection({ ca }) };
				const { stream } = await startClientDump(settings, {});
				await assert.rejects(buffer(stream), {
					code: 'PG_DUMP_FAILED',
					message: /certificate verify failed/,
				});
			}
		} finally {
			await secure.stop();
			await Promise.all([certificate.remove(), other.remove()]);
		}
	});

	test("tells no secret to the program but by its environment, and nothing of n8n's", async () => {
		await withFolder(async (folder) => {
			const path = join(folder, 'pg_dump');
			const seen = join(folder, 'seen');
			await writeFile(
				path,
				`#!/bin/bash\n[ "$1" = --version ] && exec pg_dump --version\n(echo "$@"; env) > ${seen}\nexec pg_dump "$@"\n`,
			);
			await chmod(path, 0o755);
			process.env.N8N_ENCRYPTION_KEY = 'key-of-n8n';
			process.env.PGOPTIONS = '-c search_path=nowhere';
			try {
				await dump(source(), { client: { path } });
			} finally {
				delete process.env.N8N_ENCRYPTION_KEY;
				delete process.env.PGOPTIONS;
			}
			const [args, ...env] = (await readFile(seen, 'utf8')).split('\n');
			assert.doesNotMatch(args!, new RegExp(server.password));
			assert.ok(env.includes(`PGPASSWORD=${server.password}`));
			assert.doesNotMatch(env.join('\n'), /key-of-n8n|PGOPTIONS/);
		});
		assert.deepEqual(
			(await readdir(tmpdir())).filter((name) => name.startsWith('lifeboat-tls-')),
			[],
		);
	});
});
