import type { ICredentialDataDecryptedObject, IExecuteFunctions } from 'n8n-workflow';

import { sftpStorage, type SftpSettings } from '../../../lib/storage/sftp/sftp-storage';
import { pem } from '../credentials';

import type { StorageKind } from './storage-kind';

export const sftp: StorageKind = {
	value: 'sftp',
	name: 'SFTP',
	description: 'A folder of a server that is reached by SSH',
	credential: 'sftp',
	properties: [
		{
			displayName: 'Folder',
			name: 'folder',
			type: 'string',
			default: '',
			placeholder: 'e.g. /srv/backups',
			description:
				'The folder on the server, made if missing. Without / at its start, and when empty, it is taken from the folder that the login begins in.',
		},
		{
			displayName: 'Host Key Fingerprint',
			name: 'hostKeyFingerprint',
			type: 'string',
			default: '',
			placeholder: 'e.g. SHA256:uNiVztksCsDhcc0u9e8BrR…',
			description:
				'What ssh-keygen -lf prints for a host key of the server. Without it any server is trusted that answers there.',
		},
	],
	async open({ context, itemIndex, text }) {
		const hostKeyFingerprint = text('hostKeyFingerprint');
		return sftpStorage({
			...login(await context.getCredentials('sftp', itemIndex)),
			folder: text('folder'),
			...(hostKeyFingerprint
				? { hostKeyFingerprint }
				: { onUnverifiedHostKey: (seen) => warn(context, seen) }),
		});
	},
};

function login(data: ICredentialDataDecryptedObject): Omit<SftpSettings, 'folder'> {
	const text = (value: unknown) => (typeof value === 'string' ? value : '');
	const [password, passphrase] = [text(data.password), text(data.passphrase)];
	const pasted = text(data.privateKey).trim();
	// Only what lost its line breaks needs them back: an old key has header lines, which must stay as they are.
	const privateKey = pasted.includes('\n') ? `${pasted}\n` : pem(pasted);
	return {
		host: text(data.host).trim(),
		port: Number(data.port ?? 22),
		username: text(data.username).trim(),
		...(password && { password }),
		...(privateKey && { privateKey }),
		...(passphrase && { passphrase }),
	};
}

/** Once for each connection, since nothing else tells the operator that nobody vouched for the server. */
function warn(context: IExecuteFunctions, fingerprint: string): void {
	context.addExecutionHints({
		type: 'warning',
		location: 'outputPane',
		message: `The host key of the SFTP server was not checked. If ${fingerprint} is the right one, enter it as Host Key Fingerprint`,
	});
}
