import assert from 'node:assert/strict';
import { test } from 'node:test';

import { makeFolder } from '../../../../lib/storage/sftp/folders';
import type { SftpSession } from '../../../../lib/storage/sftp/session';
import { SftpSessions } from '../../../../lib/storage/sftp/sessions';
import { startSshd } from '../../../servers/sshd';

test('a folder is made whatever another upload makes at the same moment', async () => {
	const server = await startSshd();
	const sessions = new SftpSessions(server.storage(server.folder));
	try {
		const session = await sessions.get();
		for (const [name, made] of [
			['parent', ['parent']],
			['both', ['both', 'both/folder']],
		] as const) {
			const folder = `${server.folder}/${name}/folder`;
			let left = [...made].map((each) => `${server.folder}/${each}`);
			const raced = new Proxy(session, {
				get(target, property) {
					if (property !== 'lstat')
						return (target[property as keyof SftpSession] as () => unknown).bind(target);
					// The other one is quicker just when this one looks why it could not make the folder.
					return async (path: string) => {
						const theirs = left;
						left = [];
						for (const each of theirs) await target.makeFolder(each);
						return await target.lstat(path);
					};
				},
			});
			await makeFolder(raced, folder);
			assert.ok((await session.lstat(folder))?.isDirectory(), name);
		}
		await assert.rejects(makeFolder(session, '/proc/no such place/folder'));
	} finally {
		await sessions.close();
		await server.stop();
	}
});
