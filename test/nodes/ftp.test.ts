import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { startProftpd, type ProftpdServer } from '../servers/proftpd';

import { testDestination } from './destination';

testDestination<ProftpdServer>(
	{
		name: 'an FTP server',
		start: () => startProftpd({ speaks: 'explicit-tls' }),
		credentialType: 'ftp',
		credential: ({ host, port, user, password }) => ({ host, port, username: user, password }),
		parameters: ({ ca }) => ({
			...{ storage: 'ftp', security: 'explicit', folder: 'backups/n8n', caCertificate: ca },
		}),
		stored: ({ folder }, prefix) => readdir(join(folder, 'backups/n8n', prefix)).catch(() => []),
		mistakes: () => [
			[{}, { caCertificate: '' }, /self-signed/],
			[{ password: 'not-the-password' }, {}, /does not let backup log in/],
			[{}, { security: 'none' }, /only lets backup log in over TLS/],
			[{ port: 1 }, {}, /nothing answers/],
		],
	},
	({ run, dump, upload }) => {
		test('a certificate nobody vouches for can be accepted', async () => {
			const accepting = upload('accepted', { caCertificate: '', ignoreTlsErrors: true });
			(await run([dump, accepting])).assertSuccess();
		});
	},
);
