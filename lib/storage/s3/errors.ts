import { S3ServiceException } from '@aws-sdk/client-s3';

import { messageOf } from '../../errors';
import { certificateHint, connectionFailure, explained, TRANSIENT, type Failure } from '../failure';
import { isConnectionError } from '../network-errors';

const wrongLogin =
	'Check access key and secret in the credential, that they belong to this endpoint, and that the key is active';
const noPermission =
	'The key needs s3:GetObject, s3:PutObject, s3:DeleteObject, s3:ListBucket, s3:AbortMultipartUpload and s3:ListBucketMultipartUploads on this bucket';

const byName: Record<string, Failure> = {
	InvalidAccessKeyId: { code: 'ACCESS_DENIED', problem: 'the access key is not known', hint: wrongLogin },
	SignatureDoesNotMatch: {
		code: 'ACCESS_DENIED',
		problem: 'the secret access key is wrong',
		hint: wrongLogin,
	},
	InvalidToken: { code: 'ACCESS_DENIED', problem: 'the session token is not valid', hint: wrongLogin },
	ExpiredToken: {
		code: 'ACCESS_DENIED',
		problem: 'the session token has expired',
		hint: 'Renew the credential',
	},
	AccessDenied: { code: 'ACCESS_DENIED', problem: 'the key may not do that', hint: noPermission },
	AccountProblem: {
		code: 'ACCESS_DENIED',
		problem: 'the account is suspended',
		hint: 'Ask the provider of the storage',
	},
	RequestTimeTooSkewed: {
		code: 'ACCESS_DENIED',
		problem: 'the clock of this machine is wrong',
		hint: 'Set the clock (NTP): requests are signed with the time, which may be off by 15 minutes at most',
	},
	NoSuchBucket: {
		code: 'BUCKET_NOT_FOUND',
		problem: 'there is no such bucket',
		hint: 'Check the name and the region of the bucket, and whether Force Path Style fits the endpoint. Buckets are not created by Lifeboat',
	},
	PermanentRedirect: {
		code: 'STORAGE_FAILED',
		problem: 'the bucket is in another region',
		hint: 'Set the region of the bucket in the credential',
	},
	AuthorizationHeaderMalformed: {
		code: 'STORAGE_FAILED',
		problem: 'the region is not the one of the bucket',
		hint: 'Set the region of the bucket in the credential',
	},
	QuotaExceeded: {
		code: 'DISK_FULL',
		problem: 'the quota of the storage is used up',
		hint: 'Remove old backups or raise the quota',
	},
	InvalidObjectState: {
		code: 'ARCHIVED',
		problem: 'the object lies in an archive class and must be restored there first',
		hint: 'Start its restoration (S3 RestoreObject), and run the node again when it is done',
	},
	SlowDown: {
		code: 'STORAGE_FAILED',
		problem: 'the service asked to slow down',
		hint: 'Run the node again later, or fewer at once',
	},
};
byName.CustomerKeyRefused = {
	code: 'WRONG_KEY',
	problem: 'the service does not accept the customer key, or the key of the login may not read it',
	hint: 'Choose the customer key with which it was stored (SSE-C), and check that the login has s3:GetObject',
};
byName.XMinioStorageFull = byName.QuotaExceeded!;
byName.InsufficientStorage = byName.QuotaExceeded!;
byName.InsufficientCapacity = byName.QuotaExceeded!;
byName.AllAccessDisabled = byName.AccountProblem!;
byName.ServiceUnavailable = byName.SlowDown!;

/** What the SDK calls an error that came without a description, as all do that answer HEAD. */
const noBody = new Set(['400', 'BadRequest', 'Unknown', 'UnknownError']);

const keyMissing: Failure = {
	code: 'KEY_MISSING',
	problem:
		'the service refused the request (400), as it does for what was stored with a customer key (SSE-C)',
	hint: 'Set Server-Side Encryption to Customer Key in the S3 options, with the key it was stored with. If it was stored without one, check the credential (a session token may have expired)',
};

/**
 * What the SDK throws, as an error an operator understands. An abort passes unchanged.
 *
 * @param action such as `Uploading nightly/shop.sql to bucket backups at s3.example.com`.
 */
export function s3Error(error: unknown, action: string): unknown {
	return explained(error, action, diagnose);
}

/** What the SDK throws, in a few words for the end of a message. */
export function s3Problem(error: unknown): string {
	return diagnose(error).problem;
}

function diagnose(error: unknown): Failure {
	if (error instanceof S3ServiceException) {
		const status = error.$metadata.httpStatusCode;
		const known = byName[error.name];
		if (known) return known;
		// HEAD has no body, so only the status tells.
		if (status === 401 || status === 403) {
			return {
				code: 'ACCESS_DENIED',
				problem: 'access was denied (wrong key, wrong secret or missing permission)',
				hint: `${wrongLogin}. ${noPermission}`,
			};
		}
		if (status === 400 && (noBody.has(error.name) || /server.side.encryption/i.test(error.message)))
			return keyMissing;
		if (status === 301) return byName.PermanentRedirect!;
		if (status === 507) return byName.QuotaExceeded!;
		const said = ['', 'UnknownError'].includes(error.message) ? '' : `: ${error.message}`;
		return {
			code: 'STORAGE_FAILED',
			problem: `the service answered ${status ?? 'an error'} ${error.name}${said}`,
			hint: 'Run the node again; if it persists, look up this answer in the documentation of the storage',
		};
	}
	const network = connectionFailure(error, {
		certificate: certificateHint,
		other: 'Check the endpoint, its port, http or https, and that the machine n8n runs on can reach it',
	});
	if (network) return network;
	return {
		code: 'STORAGE_FAILED',
		problem: messageOf(error),
		hint: 'Check that the endpoint is that of an S3 service',
	};
}

/** Whether the service said that something isn't there. */
export function isMissing(error: unknown): boolean {
	return hasStatus(error, 404) && !(error instanceof S3ServiceException && error.name === 'NoSuchBucket');
}

/** Whether the service answered with one of some HTTP statuses. */
export function hasStatus(error: unknown, ...statuses: number[]): boolean {
	return error instanceof S3ServiceException && statuses.includes(error.$metadata.httpStatusCode ?? 0);
}

/** Whether the same request may succeed later: a broken connection, or an error of the service's own (5xx). */
export function mayPass(error: unknown): boolean {
	return isConnectionError(error) || hasStatus(error, ...TRANSIENT);
}

/** Whether the service does not know what was asked of it. */
export function isNotImplemented(error: unknown): boolean {
	return hasStatus(error, 501) || (error instanceof S3ServiceException && error.name === 'NotImplemented');
}
