import { createConnection, type Socket } from 'node:net';
import SftpClient from 'ssh2-sftp-client';
import type { Client, ConnectConfig, SFTPWrapper } from 'ssh2';

import { LifeboatError, messageOf } from '../../errors';

import { connectionLost } from './errors';
import { FastPackets } from './fast-packets';
import { fingerprintOf, parseFingerprints } from './host-key';
import type { SftpSettings } from './settings';

/** What is used of a connection. */
export interface Connection {
	/** The SSH connection. */
	readonly client: Client;
	/** Its SFTP channel. */
	readonly sftp: SFTPWrapper;
}

/** Bytes that are received at once, if there are so many, always into the same memory. */
const RECEIVED = 512 * 1024;

/** Milliseconds between signs of life, so that routers don't forget a connection which waits. */
const keepalive = 15_000;

/**
 * Opens a connection.
 *
 * @throws LifeboatError `ACCESS_DENIED`, `CONNECTION_FAILED` for a wrong host key, `INVALID_OPTION` or `STORAGE_FAILED` for what stays as it is; errors of
 * the network as they are.
 */
export async function connect(settings: SftpSettings, timeout: number): Promise<Connection> {
	const { host, port = 22, username, password, privateKey, passphrase } = settings;
	const expected = parseFingerprints(settings.hostKeyFingerprint);
	let seen: string | undefined;
	let failure: unknown;
	// Its own listeners print to the console unless they are given.
	const nothing = () => {};
	const wrapper = new SftpClient('lifeboat', { error: nothing, end: nothing, close: nothing });
	const { client } = wrapper as unknown as { client: Client };
	wrapper.on('error', (error: unknown) => (failure ??= error));
	client.on('keyboard-interactive', (_name, _instructions, _language, prompts, finish) => {
		finish(prompts.map(() => password ?? ''));
	});
	// Without `noDelay` small packets wait for the answer to those before: a tenth of the speed, or less.
	const socket: Socket = createConnection({
		...{ host, port, noDelay: true },
		onread: {
			buffer: Buffer.allocUnsafeSlow(RECEIVED),
			callback: (length, buffer) => {
				const data = (buffer as Buffer).subarray(0, length);
				socket.emit('data', packets.active ? data : Buffer.from(data));
				return true;
			},
		},
	});
	const packets = new FastPackets(client, socket);
	socket.on('error', nothing);
	const config: ConnectConfig = {
		sock: socket,
		...{ host, port, username, readyTimeout: Math.min(20_000, timeout) },
		...{ keepaliveInterval: keepalive, keepaliveCountMax: Math.max(4, Math.ceil((2 * timeout) / keepalive)) },
		...(password && { password, tryKeyboard: true }),
		...(privateKey && { privateKey }),
		...(passphrase && { passphrase }),
		hostVerifier: (key: Buffer) => {
			seen = fingerprintOf(key);
			return expected.length === 0 || expected.includes(seen);
		},
	};
	try {
		const sftp = await wrapper.connect(config);
		packets.useChannel(sftp);
		if (expected.length === 0 && seen) settings.onUnverifiedHostKey?.(seen);
		return { client, sftp };
	} catch (error) {
		client.destroy();
		socket.destroy();
		if (seen && expected.length > 0 && !expected.includes(seen)) throw wrongHostKey(settings, seen, expected);
		throw connectError(failure ?? error, settings);
	}
}

function wrongHostKey({ host, port = 22 }: SftpSettings, seen: string, expected: string[]): LifeboatError {
	return new LifeboatError(
		'CONNECTION_FAILED',
		`The host key of ${host}:${port} is ${seen}, not ${expected.join(' or ')}. Nothing was sent`,
		{
			hint: 'Either the server got a new key, or it has several, or something else answers in its place. Ask who runs it before you change Host Key Fingerprint',
		},
	);
}

/** What can't be helped by another try becomes an error for the operator; the rest stays one of the network. */
function connectError(error: unknown, { host, port = 22, username }: SftpSettings): unknown {
	const message = messageOf(error);
	const level = error instanceof Error && 'level' in error ? error.level : undefined;
	const server = `${host}:${port}`;
	if (/privateKey|private key|passphrase|integrity check/i.test(message)) {
		const encrypted = /passphrase|integrity check|decrypt/i.test(message);
		return new LifeboatError(
			'ACCESS_DENIED',
			encrypted
				? 'The private key of the SFTP credential is encrypted, and its passphrase is missing or wrong'
				: 'The private key of the SFTP credential can not be read',
			{
				hint: encrypted
					? 'Enter the passphrase of the key in the credential'
					: 'Paste the whole file, from the BEGIN line to the END line, in the format of OpenSSH, PEM or PuTTY',
				cause: error,
			},
		);
	}
	if (level === 'client-authentication') {
		return new LifeboatError('ACCESS_DENIED', `${server} does not let ${username} log in`, {
			hint: 'Check user, password and private key in the SFTP credential, and that the server allows this way to log in',
			cause: error,
		});
	}
	if (/subsystem|open channel|exec/i.test(message)) {
		return new LifeboatError('STORAGE_FAILED', `${server} offers no SFTP to ${username}`, {
			hint: 'The login worked. Turn on the SFTP subsystem on the server, or check the limits of the user',
			cause: error,
		});
	}
	if (/no matching|handshake failed/i.test(message)) {
		return new LifeboatError('STORAGE_FAILED', `${server} and Lifeboat share no way to encrypt: ${message}`, {
			hint: 'Update the SSH server: it only knows algorithms that are not safe any more',
			cause: error,
		});
	}
	if (level === 'client-timeout') return connectionLost('no answer', 'ETIMEDOUT');
	// The system's own code tells most.
	if (error instanceof Error && 'syscall' in error) return error;
	return connectionLost(message);
}
