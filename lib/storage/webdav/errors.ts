import { codeOf, messageOf } from '../../errors';
import { certificateHint, connectionFailure, explained, TRANSIENT, type Failure } from '../failure';
import { isConnectionError } from '../network-errors';

/** What a server answered instead of doing what it was asked. */
export class StatusError extends Error {
	constructor(
		readonly status: number,
		/** Where a redirection points to. */
		readonly location?: string,
	) {
		super(`The server answered ${status}`);
	}
}

const full: Failure = {
	code: 'DISK_FULL',
	problem: 'no space is left, or the quota is used up',
	hint: 'Remove old backups (and empty the trash bin of a Nextcloud), or raise the quota. Nothing incomplete was kept',
};

const tooLarge: Failure = {
	code: 'FILE_TOO_LARGE',
	problem: 'the server does not take files that large',
	hint: 'Raise the limit of the server, or of a proxy before it (nginx: client_max_body_size, Apache: LimitRequestBody)',
};

const noWebDav: Failure = {
	code: 'STORAGE_FAILED',
	problem: 'the server does not speak WebDAV at that address',
	hint: 'Check the path of the address; for a Nextcloud it is https://host/remote.php/dav/files/USER',
};

const byStatus: Record<number, Failure> = {
	401: {
		code: 'ACCESS_DENIED',
		problem: 'the server did not accept user and password',
		hint: 'Check both in the credential. Where two-factor login is on (Nextcloud), an app password is needed',
	},
	403: {
		code: 'ACCESS_DENIED',
		problem: 'the server does not allow it',
		hint: 'Give this user permission to read, write and delete in that folder, or choose another one',
	},
	405: noWebDav,
	411: {
		code: 'STORAGE_FAILED',
		problem: 'the server takes an upload only if its size is known before (411)',
		hint: 'Hand the backup over as a file, so that its size is known; or let the server, or the proxy before it, accept chunked requests',
	},
	413: tooLarge,
	414: {
		code: 'INVALID_KEY',
		problem: 'the path is too long for the server',
		hint: 'Choose a shorter key or folder',
	},
	423: {
		code: 'LOCKED',
		problem: 'the server holds a lock on it',
		hint: 'Another program, or another run, is using it. Run the node again later',
	},
	429: {
		code: 'STORAGE_FAILED',
		problem: 'the server asked to slow down (429)',
		hint: 'Run the node again later, or fewer at once',
	},
	501: noWebDav,
	507: full,
};

/**
 * Whatever went wrong, as an error an operator understands. An abort passes unchanged.
 *
 * @param action such as `Uploading nightly/shop.sql to WebDAV folder backups at cloud.example.com`.
 */
export function webDavError(error: unknown, action: string): unknown {
	return explained(error, action, diagnose);
}

function diagnose(error: unknown): Failure {
	if (error instanceof StatusError) {
		const known = byStatus[error.status];
		if (known) return known;
		if (error.status >= 300 && error.status < 400) return redirected(error.location);
		return {
			code: 'STORAGE_FAILED',
			problem: `the server answered ${error.status}`,
			hint: 'Run the node again; if it persists, look into the log of the server',
		};
	}
	const network = connectionFailure(error, {
		certificate: certificateHint,
		other: 'Check the address, its port, http or https, and that the machine n8n runs on can reach it',
	});
	if (network) return network;
	return {
		code: 'STORAGE_FAILED',
		problem: codeOf(error)?.startsWith('HPE_')
			? 'the server does not speak HTTP at that port'
			: messageOf(error),
		hint: 'Check that the address is that of a WebDAV server',
	};
}

function redirected(location: string | undefined): Failure {
	const url = location === undefined ? null : URL.parse(location);
	const to = url ? ` to ${url.origin}${url.pathname}` : '';
	return {
		code: 'STORAGE_FAILED',
		problem: `the server sends on${to}`,
		hint: 'Use the address that it points to in the credential: uploads can not follow',
	};
}

export function hasStatus(error: unknown, ...statuses: number[]): boolean {
	return error instanceof StatusError && statuses.includes(error.status);
}

/** Whether the same request may succeed later: a broken connection, or a trouble of the server's own. */
export function mayPass(error: unknown): boolean {
	return isConnectionError(error) || hasStatus(error, ...TRANSIENT);
}
