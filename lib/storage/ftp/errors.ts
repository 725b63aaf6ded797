import { FTPError } from 'basic-ftp';

import { LifeboatError } from '../../errors';
import { certificateHint, connectionFailure, explained, type Failure } from '../failure';
import { isTlsError, networkProblem } from '../network-errors';

/** What the server answered, if that is what the error tells (RFC 959, 4.2). */
export function replyOf(error: unknown): number | undefined {
	return error instanceof FTPError ? error.code : undefined;
}

/** Whether the server says that it doesn't know a command. */
export function isUnknownCommand(error: unknown): boolean {
	return [500, 501, 502, 504].includes(replyOf(error) ?? 0);
}

/** What went wrong on the network, in words; the library gives most of it no code. */
function problemOf(error: unknown): string | undefined {
	const known = networkProblem(error);
	if (known !== undefined) return known;
	if (!(error instanceof Error) || error instanceof LifeboatError) return undefined;
	if (/SSL routines/.test(error.message) && !isTlsError(error))
		return 'the server does not speak TLS at that port, or not the same kind';
	if (/timeout/i.test(error.message)) return 'the server did not answer in time';
	if (/FIN packet|closed|disconnected|Socket is closed|connection is available/i.test(error.message))
		return 'the connection was cut';
	// The service closes, or can't open or keep the connection for the data.
	if ([421, 425, 426].includes(replyOf(error) ?? 0)) return 'the server gave up the connection';
	return undefined;
}

/** Whether the connection failed, so that another one may help. */
export function isConnectionError(error: unknown): boolean {
	return problemOf(error) !== undefined && !isTlsError(error);
}

/**
 * What the library throws, as an error an operator understands. Aborts and errors of our own pass unchanged.
 *
 * @param action such as `Uploading shop.sql to FTP server example.com`.
 * @param path what it was about, on the server.
 */
export function ftpError(error: unknown, action: string, path: string): unknown {
	return explained(error, action, () => diagnose(error, path));
}

function diagnose(error: unknown, path: string): Failure {
	const hints = {
		certificate: certificateHint,
		other:
			'Check host, port and Security (explicit or implicit TLS, or none), that the server runs, and that its passive ports can be reached',
	};
	const network = connectionFailure(error, hints, problemOf(error));
	if (network) return network;
	const reply = replyOf(error);
	const said = error instanceof Error ? error.message.replaceAll(/\s+/g, ' ') : String(error);
	if (path.split('/').some((part) => Buffer.byteLength(part) > 255) && reply !== undefined && reply >= 500) {
		return {
			code: 'INVALID_KEY',
			problem: `the server does not take a name as long as in ${path}`,
			hint: 'Names of files and folders may have 255 bytes each. Choose a shorter one',
		};
	}
	if (reply === 452 || reply === 552 || /no space left|quota/i.test(said)) {
		return {
			code: 'DISK_FULL',
			problem: `the server has no space left (${said})`,
			hint: 'Free space on the disk of the server, or raise the quota, then run the node again',
		};
	}
	if (reply === 530 || reply === 532 || /permission|denied|not allowed|access/i.test(said)) {
		return {
			code: 'ACCESS_DENIED',
			problem: `the user may not use ${path} (${said})`,
			hint: 'Give the user of the credential permission for it on the server, or choose another folder',
		};
	}
	return {
		code: 'STORAGE_FAILED',
		problem: `the server answered "${said}" for ${path}`,
		hint: 'Check the disk, the quota and the log of the server',
	};
}
