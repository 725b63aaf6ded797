import { LifeboatError, messageOf } from '../../errors';
import { networkProblem } from '../network-errors';

/** The answers of SFTP version 3 that mean something to us (draft-ietf-secsh-filexfer-02, 7). */
export const Status = {
	EOF: 1,
	NO_SUCH_FILE: 2,
	PERMISSION_DENIED: 3,
	FAILURE: 4,
	BAD_MESSAGE: 5,
	OP_UNSUPPORTED: 8,
} as const;

/** What the server answered to a request; nothing if it isn't an answer of the server's. */
export function statusOf(error: unknown): number | undefined {
	const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
	return typeof code === 'number' ? code : undefined;
}

/** Whether the connection failed, so that another one may help. */
export function isConnectionError(error: unknown): boolean {
	return !(error instanceof LifeboatError) && networkProblem(error) !== undefined;
}

/** A connection that ended, as the error of the system that it would be elsewhere. */
export function connectionLost(message: string, code: 'ECONNRESET' | 'ETIMEDOUT' = 'ECONNRESET'): Error {
	return Object.assign(new Error(message), { code });
}

/**
 * What the SSH library throws, as an error an operator understands. Aborts and errors of our own pass unchanged.
 *
 * @param action such as `Uploading shop.sql to SFTP backup@example.com`.
 * @param path what it was about, on the server.
 */
export function sftpError(error: unknown, action: string, path: string): unknown {
	if (error instanceof LifeboatError || (error instanceof Error && error.name === 'AbortError')) return error;
	const failed = (code: string, problem: string, hint: string) =>
		new LifeboatError(code, `${action} failed: ${problem}`, { hint, cause: error });
	const network = networkProblem(error);
	if (network) {
		return failed(
			'CONNECTION_FAILED',
			network,
			'Check host and port, that the server runs, and that the machine n8n runs on can reach it',
		);
	}
	const status = statusOf(error);
	const tooLong = path.split('/').find((part) => Buffer.byteLength(part) > 255);
	if (tooLong !== undefined && status !== undefined && status !== Status.PERMISSION_DENIED) {
		return new LifeboatError('INVALID_KEY', `The server does not take a name as long as in ${path}`, {
			hint: 'Names of files and folders may have 255 bytes each. Choose a shorter one',
			cause: error,
		});
	}
	if (status === Status.PERMISSION_DENIED) {
		return failed(
			'ACCESS_DENIED',
			`the user may not use ${path}`,
			'Give the user of the credential permission for it on the server, or choose another folder',
		);
	}
	if (status === Status.NO_SUCH_FILE) {
		return failed(
			'STORAGE_FAILED',
			`${path} is not there any more`,
			'Something else removes or renames files there. Run the node again',
		);
	}
	return failed(
		'STORAGE_FAILED',
		`the server answered "${messageOf(error)}" for ${path}`,
		'Check the disk, the quota and the log of the server',
	);
}
