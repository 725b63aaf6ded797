import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, before } from 'node:test';

import { ftpStorage } from '../../../../lib/storage/ftp/ftp-storage';
import { startProftpd, type ProftpdServer } from '../../../servers/proftpd';
import { storageConformance } from '../conformance';
import { crashWhileStoring } from '../crash';

for (const [name, security, speaks, settings, many] of [
	['explicit TLS', 'explicit', 'explicit-tls', [], 1100],
	// As on servers whose rename doesn't replace.
	['no TLS, no overwriting', 'none', 'plain', ['AllowOverwrite off'], 50],
] as const) {
	let server: ProftpdServer;
	before(async () => {
		server = await startProftpd({ speaks, settings });
	});
	after(() => server.stop());

	storageConformance(
		`FTP (${name})`,
		async () => {
			const path = await mkdtemp(join(server.folder, 'storage-'));
			const access = { ...server.access(security), folder: basename(path) };
			const leftovers = async () => {
				const names = await readdir(path, { recursive: true });
				return names.filter((each) => basename(each).startsWith('.lifeboat-'));
			};
			return {
				storage: ftpStorage(access),
				leftovers,
				crash: (key) => crashWhileStoring(access, key, leftovers),
				cleanup: () => rm(path, { recursive: true }),
			};
		},
		{ many },
	);
}
