import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { after, before } from 'node:test';

import { sftpStorage, type SftpSettings } from '../../../../lib/storage/sftp/sftp-storage';
import { startProftpd } from '../../../servers/proftpd';
import { startSshd } from '../../../servers/sshd';
import { storageConformance } from '../conformance';
import { crashWhileStoring } from '../crash';

interface Server {
	/** The folder that the login begins in. */
	folder: string;
	settings: (folder: string) => SftpSettings;
	stop: () => Promise<void>;
}

async function openSsh(sftpOptions = ''): Promise<Server> {
	const server = await startSshd({ sftpOptions });
	return { folder: server.folder, settings: (name) => server.storage(name), stop: () => server.stop() };
}

async function proftpd(): Promise<Server> {
	const server = await startProftpd({ speaks: 'sftp' });
	const { host, port, user, password, folder, hostKeyFingerprint } = server;
	return {
		...{ folder, stop: () => server.stop() },
		settings: (name) => ({ host, port, username: user, password, folder: `/${name}/`, hostKeyFingerprint }),
	};
}

for (const [name, start, many] of [
	['OpenSSH', () => openSsh(), 1100],
	// What servers have that don't know the extensions.
	['OpenSSH without extensions', () => openSsh('-P posix-rename,hardlink,fsync,statvfs,limits'), 50],
	['ProFTPD', proftpd, 50],
] as const) {
	let server: Server;
	before(async () => {
		server = await start();
	});
	after(() => server.stop());

	storageConformance(
		`SFTP (${name})`,
		async () => {
			const path = await mkdtemp(join(server.folder, 'storage-'));
			const settings = server.settings(relative(server.folder, path));
			const leftovers = async () => {
				const names = await readdir(path, { recursive: true });
				return names.filter((each) => basename(each).startsWith('.lifeboat-'));
			};
			return {
				storage: sftpStorage(settings),
				leftovers,
				crash: (key) => crashWhileStoring(settings, key, leftovers),
				cleanup: () => rm(path, { recursive: true }),
			};
		},
		{ many },
	);
}
