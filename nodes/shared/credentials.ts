import type { ConnectionOptions } from 'node:tls';

import type { ICredentialDataDecryptedObject, IExecuteFunctions, ILoadOptionsFunctions } from 'n8n-workflow';

import type { PostgresConnection } from '../../lib/databases/postgres/connection';
import type { EncryptionKeys } from '../../lib/encryption/encryption';
import { LifeboatError } from '../../lib/errors';

import { openTunnel } from './ssh-tunnel';

const text = (value: unknown): string => (typeof value === 'string' ? value.trim() : '');

/** The keys of the encryption credential; none where the node has no such credential chosen. */
export async function encryptionKeys(context: IExecuteFunctions, itemIndex: number): Promise<EncryptionKeys> {
	if (!context.getNode().credentials?.lifeboatEncryptionApi) return {};
	return keysOf(await context.getCredentials('lifeboatEncryptionApi', itemIndex));
}

/** The keys in the encryption credential's fields. */
export function keysOf(data: ICredentialDataDecryptedObject): EncryptionKeys {
	const filled = (value: unknown) => (text(value) === '' ? [] : [text(value)]);
	// White space may be part of a passphrase.
	const passphrase =
		typeof data.passphrase === 'string' && data.passphrase !== '' ? data.passphrase : undefined;
	return {
		recipients: filled(data.recipients),
		identities: filled(data.identity),
		...(passphrase ? { passphrase } : {}),
		...(typeof data.earlierPassphrases === 'string' && data.earlierPassphrases !== ''
			? { earlierPassphrases: data.earlierPassphrases.split(/\r?\n/).filter((each) => each !== '') }
			: {}),
		openpgp: {
			publicKeys: filled(data.openpgpPublicKeys),
			privateKeys: filled(data.openpgpPrivateKeys),
			signingKeys: filled(data.openpgpSigningKey),
			...(typeof data.openpgpKeyPassphrase === 'string' && data.openpgpKeyPassphrase !== ''
				? { keyPassphrase: data.openpgpKeyPassphrase }
				: {}),
		},
	};
}

/** A database that can be reached; `close` ends the tunnel, if there is one. */
export interface ReachablePostgres {
	connection: PostgresConnection;
	close: () => Promise<void>;
}

/**
 * What n8n's own `postgres` credential says, as settings for the engine; through its SSH tunnel where it names one.
 *
 * @param database instead of the credential's.
 * @param caCertificate PEM; the credential has no field for it.
 * @throws LifeboatError `CREDENTIAL_MISSING`.
 */
export async function postgresConnection(
	context: IExecuteFunctions | ILoadOptionsFunctions,
	itemIndex: number,
	{ database, caCertificate }: { database?: string; caCertificate?: string } = {},
): Promise<ReachablePostgres> {
	if (!context.getNode().credentials?.postgres) {
		throw new LifeboatError('CREDENTIAL_MISSING', 'No credential is chosen for PostgreSQL', {
			hint: 'Choose one in the node, or make a new one there',
		});
	}
	// Load options have no items, so their getCredentials takes no index.
	const data = await (context as IExecuteFunctions).getCredentials('postgres', itemIndex);
	const settings = {
		host: text(data.host),
		port: Number(data.port ?? 5432),
		user: text(data.user),
		password: typeof data.password === 'string' ? data.password : '',
		database: database ?? text(data.database),
		...tls(data, caCertificate),
	};
	if (data.sshTunnel !== true) return { connection: settings, close: async () => {} };
	const tunnel = await openTunnel(context, data, { host: settings.host, port: settings.port });
	return {
		// The certificate names the database's host, not the tunnel's end here.
		connection: {
			...settings,
			host: tunnel.host,
			port: tunnel.port,
			...(settings.ssl ? { ssl: { servername: settings.host, ...settings.ssl } } : {}),
		},
		close: tunnel.close,
	};
}

function tls(
	data: ICredentialDataDecryptedObject,
	caCertificate: string | undefined,
): Pick<PostgresConnection, 'ssl' | 'sslMode'> {
	const ca = caCertificate ? pem(caCertificate) : undefined;
	const sslMode = (['allow', 'require'] as const).find((mode) => mode === data.ssl) ?? 'disable';
	if (data.allowUnauthorizedCerts === true) {
		return { ssl: { rejectUnauthorized: false }, sslMode: sslMode === 'disable' ? 'require' : sslMode };
	}
	if (sslMode === 'disable' && ca === undefined) return { ssl: false, sslMode };
	const ssl: ConnectionOptions = { rejectUnauthorized: true, ...(ca ? { ca } : {}) };
	return { ssl, sslMode: ca ? 'require' : sslMode };
}

/** PEM blocks that were pasted as one line get their line breaks back. */
export function pem(value: string): string {
	return value
		.replaceAll('\\n', '\n')
		.replaceAll(
			/-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----\s*/gs,
			(_match, label: string, body: string) => {
				const lines = body.replaceAll(/\s+/g, '').match(/.{1,64}/g) ?? [];
				return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
			},
		);
}
