import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { startSshd, type SshServer } from '../servers/sshd';

import { testDestination } from './destination';

testDestination<SshServer>(
	{
		name: 'an SFTP server',
		start: () => startSshd(),
		credentialType: 'sftp',
		credential: ({ host, port, user, privateKey }) => ({
			...{ host, port, username: user, password: '', privateKey, passphrase: '' },
		}),
		parameters: ({ hostKeyFingerprint }) => ({
			...{ storage: 'sftp', folder: 'backups/n8n', hostKeyFingerprint },
		}),
		stored: ({ folder }, prefix) => readdir(join(folder, 'backups/n8n', prefix)).catch(() => []),
		mistakes: () => [
			[{}, { hostKeyFingerprint: `SHA256:${'A'.repeat(43)}` }, /host key of 127\.0\.0\.1:\d+ is SHA256:/],
			[{ privateKey: '', password: 'not-the-password' }, {}, /does not let .* log in/],
			[{ privateKey: 'broken-private-key' }, {}, /private key .* can not be read/],
			[{ port: 1 }, {}, /nothing answers/],
		],
	},
	(under) => {
		const { run, dump, upload } = under;

		test('a host key that nobody vouches for is told, one that is vouched for is not', async () => {
			const unchecked = await run([dump, upload('hints', { hostKeyFingerprint: '' })]);
			const [hint, ...others] = unchecked.assertSuccess().node('upload').hints;
			assert.ok(hint?.message.includes(under.server.hostKeyFingerprint), hint?.message);
			assert.deepEqual(others, []);
			const checked = await run([dump, upload('hints-2')]);
			assert.deepEqual(checked.assertSuccess().node('upload').hints, []);
		});

		test('a key that was pasted as one line is understood', async () => {
			const oneLine = under.server.privateKey.replaceAll('\n', ' ');
			(await run([dump, upload('one-line')], { privateKey: oneLine })).assertSuccess();
		});
	},
);
