import { Client } from 'basic-ftp';

import { LifeboatError } from '../../errors';

import { replyOf } from './errors';
import type { FtpSettings } from './settings';

/** The most bytes that the list of one folder may take. */
const MAX_LISTING = 512 * 1024 * 1024;

/**
 * Connects and logs in.
 *
 * @param timeout milliseconds.
 * @param signal ends the attempt at once.
 * @param greet what to ask the server first; if it fails, the connection is closed.
 * @throws LifeboatError `ACCESS_DENIED` for a login that is refused, `CONNECTION_FAILED` without TLS; errors of the network as they are.
 */
export async function login<Result>(
	settings: FtpSettings,
	timeout: number,
	signal: AbortSignal | undefined,
	greet: (client: Client) => Promise<Result>,
): Promise<Result> {
	const { host, security, user = 'anonymous', password = '', ca, ignoreTlsErrors } = settings;
	const port = settings.port ?? (security === 'implicit' ? 990 : 21);
	const client = new Client(timeout, { allowSeparateTransferHost: false, maxListingBytes: MAX_LISTING });
	let reject: (reason: unknown) => void = () => {};
	const aborted = new Promise<never>((_resolve, fail) => {
		reject = fail;
	});
	// Nobody waits for it any more once the login is done.
	aborted.catch(() => {});
	const stop = () => {
		reject(signal!.reason);
		client.close();
	};
	signal?.addEventListener('abort', stop, { once: true });
	const access = async () => {
		await client.access({
			...{ host, port, user, password },
			secure: security === 'implicit' ? 'implicit' : security === 'explicit',
			secureOptions: { host, rejectUnauthorized: !ignoreTlsErrors, ...(ca && { ca }) },
		});
		return await greet(client);
	};
	try {
		return await Promise.race([access(), aborted]);
	} catch (error) {
		const encrypted = client.ftp.hasTLS;
		client.close();
		signal?.throwIfAborted();
		throw refused(error, { server: `${host}:${port}`, user, security, encrypted });
	} finally {
		signal?.removeEventListener('abort', stop);
	}
}

function refused(
	error: unknown,
	{
		server,
		user,
		security,
		encrypted,
	}: { server: string; user: string; security: string; encrypted: boolean },
): unknown {
	const reply = replyOf(error);
	if (security === 'explicit' && !encrypted && reply !== undefined && reply >= 500) {
		return new LifeboatError('CONNECTION_FAILED', `${server} does not offer explicit TLS`, {
			hint: 'Turn on TLS on the server, or choose implicit TLS or None under Security. With None the password and the backup can be read on their way',
			cause: error,
		});
	}
	if (security === 'none' && /TLS|SSL|encrypt|secure/i.test(String(error))) {
		return new LifeboatError('ACCESS_DENIED', `${server} only lets ${user} log in over TLS`, {
			hint: 'Choose explicit or implicit TLS under Security',
			cause: error,
		});
	}
	if (reply === 530 || reply === 532 || reply === 430) {
		return new LifeboatError('ACCESS_DENIED', `${server} does not let ${user} log in`, {
			hint: 'Check user and password in the FTP credential, that the server allows this login, and how many may log in at once',
			cause: error,
		});
	}
	return error;
}
