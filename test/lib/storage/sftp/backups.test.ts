import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, before } from 'node:test';

import { sftpStorage } from '../../../../lib/storage/sftp/sftp-storage';
import { startSshd, type SshServer } from '../../../servers/sshd';
import { backupConformance } from '../backup-conformance';

let server: SshServer;
before(async () => {
	server = await startSshd();
});
after(() => server.stop());

backupConformance('an SFTP server', async () => {
	const folder = await mkdtemp(join(server.folder, 'storage-'));
	return {
		storage: sftpStorage(server.storage(basename(folder))),
		async flipBit(key) {
			const content = await readFile(join(folder, key));
			content[content.length >> 1]! ^= 1;
			await writeFile(join(folder, key), content);
		},
		async fetchAll(prefix, target) {
			await mkdir(target, { recursive: true });
			await server.sftp(`cd "${basename(folder)}/${prefix}"`, `lcd "${target}"`, 'get -r .');
		},
		cleanup: () => rm(folder, { recursive: true }),
	};
});
