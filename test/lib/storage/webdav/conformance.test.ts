import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, before } from 'node:test';

import { webDavStorage } from '../../../../lib/storage/webdav/webdav-storage';
import { startApache, startNginx, type WebDavServer } from '../../../servers/webdav';
import { storageConformance } from '../conformance';

import { crashBeforeRename } from './crash';

for (const [name, start, limits] of [
	['Apache', startApache, { many: 1100 }],
	['nginx', startNginx, { many: 1100, refuses: (key: string) => key.startsWith('.') }],
] as const) {
	let server: WebDavServer;
	before(async () => {
		server = await start();
	});
	after(() => server.stop());

	storageConformance(
		`WebDAV (${name})`,
		async () => {
			const settings = await server.settings();
			const leftovers = async () => {
				// The folder is made when something is stored.
				const paths = await readdir(join(server.folder, settings.folder), { recursive: true }).catch(
					() => [],
				);
				return paths.filter((path) => /lifeboat-|davfs/.test(basename(path)));
			};
			return {
				storage: webDavStorage(settings),
				leftovers,
				crash: (key) => crashBeforeRename(settings, key),
				// The server forgets all of it when it stops.
				cleanup: async () => {},
			};
		},
		limits,
	);
}
