import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before } from 'node:test';

import { webDavStorage } from '../../../../lib/storage/webdav/webdav-storage';
import { runCommand } from '../../../servers/process';
import { startApache, startNginx, type WebDavServer } from '../../../servers/webdav';
import { backupConformance } from '../backup-conformance';

for (const [name, start] of [
	['Apache', startApache],
	['nginx', startNginx],
] as const) {
	let server: WebDavServer;
	before(async () => {
		server = await start();
	});
	after(() => server.stop());

	backupConformance(`WebDAV (${name})`, async () => {
		const settings = await server.settings();
		return {
			storage: webDavStorage(settings),
			async flipBit(key) {
				const path = join(server.folder, settings.folder, key);
				const content = await readFile(path);
				content[content.length >> 1]! ^= 1;
				await writeFile(path, content);
			},
			async fetchAll(prefix, folder) {
				const password = (await runCommand('rclone', ['obscure', settings.password])).trim();
				const remote = `:webdav,url='${settings.url}',vendor=other,user=${settings.user},pass=${password}:`;
				await runCommand('rclone', ['--config', '', 'copy', `${remote}${settings.folder}/${prefix}`, folder]);
			},
			// The server forgets all of it when it stops.
			cleanup: async () => {},
		};
	});
}
