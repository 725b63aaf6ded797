import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, before } from 'node:test';

import { ftpStorage } from '../../../../lib/storage/ftp/ftp-storage';
import { runCommand } from '../../../servers/process';
import { startProftpd, type ProftpdServer } from '../../../servers/proftpd';
import { backupConformance } from '../backup-conformance';

let server: ProftpdServer;
before(async () => {
	server = await startProftpd({ speaks: 'explicit-tls' });
});
after(() => server.stop());

backupConformance('an FTP server', async () => {
	const folder = await mkdtemp(join(server.folder, 'storage-'));
	return {
		storage: ftpStorage({ ...server.access('explicit'), folder: `/${basename(folder)}` }),
		async flipBit(key) {
			const content = await readFile(join(folder, key));
			content[content.length >> 1]! ^= 1;
			await writeFile(join(folder, key), content);
		},
		async fetchAll(prefix, target) {
			await mkdir(target, { recursive: true });
			for (const name of await readdir(join(folder, prefix))) {
				const path = [basename(folder), ...prefix.split('/').filter(Boolean), name]
					.map(encodeURIComponent)
					.join('/');
				await runCommand('curl', [
					...['-sS', '--ssl-reqd', '-k', '--user', `${server.user}:${server.password}`],
					...['-o', join(target, name), `ftp://${server.host}:${server.port}/${path}`],
				]);
			}
		},
		cleanup: () => rm(folder, { recursive: true }),
	};
});
