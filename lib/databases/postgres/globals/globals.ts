import { Readable } from 'node:stream';

import type { Production } from '../../../artifact/produce';
import { LifeboatError } from '../../../errors';
import type { Dump, EngineContext } from '../../engine';
import { connectPostgres, type PostgresConnection } from '../connection';
import { postgresError } from '../errors';

import type { GlobalsSource } from './query';
import { memberships, roles, roleSettings } from './roles';
import { parameterPrivileges, tablespaces } from './tablespaces';

/** What is dumped of a server's globals. */
export interface GlobalsOptions {
	/**
	 * `if permitted`, the default: with the hashes of the roles' passwords where the user may read them (superusers and members of pg_read_all_data may).
	 * `required`: fail otherwise. `none`: without.
	 */
	passwords?: 'if permitted' | 'required' | 'none';
	includeHost?: boolean;
}

const sections = [
	['Roles', roles],
	['User Configurations', roleSettings],
	['Role memberships', memberships],
	['Tablespaces', tablespaces],
	['Configuration parameter privileges', parameterPrivileges],
] as const;

/**
 * What belongs to a server, not to one of its databases, as SQL for psql: roles with attributes, settings and memberships, tablespaces,
 * privileges on parameters. The content of `pg_dumpall --globals-only`; roles that are there already are altered.
 *
 * @throws LifeboatError as `connectPostgres`; `NOT_PERMITTED` where passwords are required and may not be read.
 */
export async function prepareGlobalsDump(
	connection: PostgresConnection,
	options: GlobalsOptions = {},
	context: EngineContext = {},
): Promise<Dump & { withPasswords: boolean }> {
	const { passwords: wanted = 'if permitted' } = options;
	const parameters = new Map<string, string>();
	const client = await connectPostgres(connection, { signal: context.signal, parameters });
	try {
		const { rows } = await client.query<{ may: string }>(
			"SELECT pg_catalog.has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'SELECT') AS may",
		);
		const mayRead = rows[0]?.may === 't';
		if (wanted === 'required' && !mayRead) {
			throw new LifeboatError(
				'NOT_PERMITTED',
				`User ${connection.user} may not read the passwords of roles`,
				{
					hint: 'Connect as a superuser, GRANT pg_read_all_data TO the user, or dump roles without their passwords',
				},
			);
		}
		const passwords = wanted !== 'none' && mayRead;
		const serverVersion = parameters.get('server_version') ?? '';
		return {
			withPasswords: passwords,
			source: {
				type: 'database',
				engine: 'postgresql',
				serverVersion,
				database: connection.database,
				globals: true,
				...(options.includeHost ? { host: connection.host } : {}),
			},
			format: 'plain-sql',
			extension: '.sql',
			start: async (signal = context.signal) =>
				startGlobalsDump(connection, { major: Number.parseInt(serverVersion), passwords }, signal),
		};
	} catch (error) {
		throw postgresError(error, doing(connection));
	} finally {
		await client.end();
	}
}

function startGlobalsDump(
	connection: PostgresConnection,
	known: Omit<GlobalsSource, 'query'>,
	signal?: AbortSignal,
): Production {
	let complete = false;

	async function* text(): AsyncGenerator<Buffer> {
		const client = await connectPostgres(connection, { signal });
		try {
			await client.query("SET client_encoding = 'UTF8'; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
			const query: GlobalsSource['query'] = async (sql) => (await client.query(sql)).rows as never;
			yield Buffer.from(
				`${comment('PostgreSQL database cluster dump')}SET default_transaction_read_only = off;\n\nSET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n\n`,
			);
			if (!known.passwords) yield Buffer.from('-- Passwords of roles are not part of this dump\n\n');
			for (const [title, statements] of sections) {
				let isFirst = true;
				for await (const statement of statements({ ...known, query })) {
					yield Buffer.from((isFirst ? comment(title) : '') + statement);
					isFirst = false;
				}
				if (!isFirst) yield Buffer.from('\n');
			}
			yield Buffer.from(comment('PostgreSQL database cluster dump complete'));
			await client.query('COMMIT');
			complete = true;
		} catch (error) {
			throw postgresError(signal?.aborted ? signal.reason : error, doing(connection));
		} finally {
			await client.end();
		}
	}

	return {
		stream: Readable.from(text(), { objectMode: false }),
		async finish() {
			if (complete) return {};
			throw new LifeboatError('INCOMPLETE', 'The dump of roles and tablespaces is not complete', {
				hint: 'Run the node again',
			});
		},
	};
}

const comment = (text: string) => `--\n-- ${text}\n--\n\n`;

const doing = ({ host }: PostgresConnection) => `dumping roles and tablespaces of ${host}`;
