import { RestError } from '@azure/storage-blob';

import { messageOf } from '../../errors';
import { certificateHint, connectionFailure, explained, TRANSIENT, type Failure } from '../failure';
import { isTlsError, networkProblem } from '../network-errors';

const denied: Failure = {
	code: 'ACCESS_DENIED',
	problem: 'the service did not accept the account key',
	hint: 'Check account and key in the credential, that shared keys are allowed for the account, and the clock of this machine (requests are signed with the time)',
};

const forbidden: Failure = {
	code: 'ACCESS_DENIED',
	problem: 'the service does not allow it',
	hint: 'Check the firewall and the permissions of the storage account',
};

const byCode: Record<string, Failure> = {
	AuthenticationFailed: denied,
	KeyBasedAuthenticationNotPermitted: denied,
	AuthorizationFailure: forbidden,
	AuthorizationPermissionMismatch: forbidden,
	InsufficientAccountPermissions: forbidden,
	AccountIsDisabled: { ...forbidden, problem: 'the account is disabled' },
	ContainerNotFound: {
		code: 'CONTAINER_NOT_FOUND',
		problem: 'there is no such container',
		hint: 'Check its name and the account. Containers are not created by Lifeboat',
	},
	ContainerBeingDeleted: {
		code: 'CONTAINER_NOT_FOUND',
		problem: 'the container is being deleted',
		hint: 'Choose another container',
	},
	BlobArchived: {
		code: 'ARCHIVED',
		problem: 'the object lies in the archive tier and must be rehydrated first',
		hint: 'Set its tier to Hot or Cool (this takes hours), and run the node again when it is done',
	},
	BlobImmutableDueToPolicy: {
		code: 'ACCESS_DENIED',
		problem: 'a retention policy or a legal hold of the container protects it',
		hint: 'It can be replaced or deleted when the policy allows it',
	},
	LeaseIdMissing: {
		code: 'LOCKED',
		problem: 'another program holds a lease on it',
		hint: 'Run the node again when the lease has ended, or break it',
	},
	Md5Mismatch: {
		code: 'STORAGE_FAILED',
		problem: 'the data was damaged on its way to the service',
		hint: 'Check the network, and the memory of this machine. Run the node again',
	},
	InvalidBlockList: {
		code: 'STORAGE_FAILED',
		problem: 'another run stored the same key meanwhile, which made the service drop what was sent',
		hint: 'Run the node again, or give each run a key of its own',
	},
	ServerBusy: {
		code: 'STORAGE_FAILED',
		problem: 'the service asked to slow down',
		hint: 'Run the node again later, or fewer at once',
	},
};

/**
 * What the SDK throws, as an error an operator understands. An abort passes unchanged.
 *
 * @param action such as `Uploading nightly/shop.sql to container backups at acme.blob.core.windows.net`.
 */
export function azureError(error: unknown, action: string): unknown {
	return explained(error, action, diagnose);
}

function diagnose(error: unknown): Failure {
	const network = connectionFailure(error, {
		certificate: certificateHint,
		other: 'Check the account, the endpoint, and that the machine n8n runs on can reach it',
	});
	if (network) return network;
	if (error instanceof RestError && error.statusCode !== undefined) {
		const known = byCode[error.code ?? ''];
		if (known) return known;
		if (error.statusCode === 401) return denied;
		if (error.statusCode === 403) return forbidden;
		return {
			code: 'STORAGE_FAILED',
			problem: `the service answered ${error.statusCode}${error.code ? ` ${error.code}` : ''}`,
			hint: 'Run the node again; if it persists, look up this answer in the documentation of Azure Storage',
		};
	}
	const isNetwork = error instanceof RestError && error.code === RestError.REQUEST_SEND_ERROR;
	return {
		code: isNetwork ? 'CONNECTION_FAILED' : 'STORAGE_FAILED',
		problem: isNetwork ? 'the connection failed' : messageOf(error).split('\n', 1)[0]!,
		hint: 'Check that the endpoint is that of an Azure Blob service',
	};
}

export function hasStatus(error: unknown, ...statuses: number[]): boolean {
	return error instanceof RestError && statuses.includes(error.statusCode ?? 0);
}

/** Whether the service said that the object, though not its container, isn't there. */
export function isMissing(error: unknown): boolean {
	return hasStatus(error, 404) && !(error instanceof RestError && error.code?.startsWith('Container'));
}

/** Whether the service said that the key is taken. Another's commit also makes it drop the blocks that were sent for it. */
export function isTaken(error: unknown): boolean {
	if (!(error instanceof RestError)) return false;
	return ['BlobAlreadyExists', 'ConditionNotMet', 'InvalidBlockList'].includes(error.code ?? '');
}

/** Whether the same request may succeed later: a broken connection, or a trouble of the service's own. */
export function mayPass(error: unknown): boolean {
	if (isTlsError(error)) return false;
	if (networkProblem(error) !== undefined) return true;
	if (hasStatus(error, 408, ...TRANSIENT)) return true;
	return error instanceof RestError && error.code === RestError.REQUEST_SEND_ERROR;
}
