import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';

import type { PostgresConnection } from '../connection';

import { cleanEnvironment } from './program';

/** How long the server may take to answer, in seconds. */
const connectTimeout = '30';

/** What makes libpq reach the same database in the same way; secrets stand nowhere else. */
export interface ClientEnvironment {
	env: NodeJS.ProcessEnv;
	/** Removes the file with the certificates. */
	remove(): Promise<void>;
}

/**
 * The connection as libpq's environment variables.
 *
 * @see https://www.postgresql.org/docs/current/libpq-envars.html
 */
export async function clientEnvironment(connection: PostgresConnection): Promise<ClientEnvironment> {
	const { host, port, user, password, database, ssl } = connection;
	const mode = connection.sslMode ?? (ssl ? 'require' : 'disable');
	const env: NodeJS.ProcessEnv = {
		...cleanEnvironment(),
		PGHOST: host,
		PGPORT: String(port),
		PGUSER: user,
		PGPASSWORD: password,
		PGDATABASE: database,
		PGAPPNAME: 'n8n-nodes-lifeboat',
		PGCONNECT_TIMEOUT: connectTimeout,
		PGSSLMODE: mode === 'allow' ? 'prefer' : mode,
		// Nobody's ~/.postgresql or ~/.pgpass.
		PGSSLCERT: '/nonexistent',
		PGSSLROOTCERT: '/nonexistent',
		PGPASSFILE: '/nonexistent',
	};
	const isChecked = mode === 'require' && ssl !== false && ssl?.rejectUnauthorized !== false;
	if (!isChecked) return { env, remove: async () => undefined };
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-tls-'));
	const file = join(folder, 'root.crt');
	// The authorities that Node trusts, unless there is one of the operator's own.
	const authorities = ssl?.ca === undefined ? rootCertificates : [ssl.ca].flat().map(String);
	await writeFile(file, authorities.join('\n'), { mode: 0o600 });
	env.PGSSLMODE = 'verify-full';
	env.PGSSLROOTCERT = file;
	// Through a tunnel the certificate is for another name than that of the tunnel's end.
	if (ssl?.servername && ssl.servername !== host) {
		env.PGHOST = ssl.servername;
		if (isIP(host)) env.PGHOSTADDR = host;
	}
	return { env, remove: async () => rm(folder, { recursive: true, force: true }) };
}
