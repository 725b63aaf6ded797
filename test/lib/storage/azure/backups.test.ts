import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before } from 'node:test';

import { azureStorage } from '../../../../lib/storage/azure/azure-storage';
import { startAzurite, type AzuriteServer } from '../../../servers/azurite';
import { backupConformance } from '../backup-conformance';

let server: AzuriteServer;
before(async () => {
	server = await startAzurite();
});
after(() => server.stop());

backupConformance('Azure Blob (Azurite)', async () => {
	const settings = await server.container();
	const container = server.client.getContainerClient(settings.container);
	return {
		storage: azureStorage(settings),
		async flipBit(key) {
			const blob = container.getBlockBlobClient(key);
			const content = await blob.downloadToBuffer();
			content[content.length >> 1]! ^= 1;
			await blob.upload(content, content.length);
		},
		async fetchAll(prefix, folder) {
			for await (const { name } of container.listBlobsFlat({ prefix })) {
				const path = join(folder, name.slice(prefix.length));
				await mkdir(dirname(path), { recursive: true });
				await writeFile(path, await container.getBlobClient(name).downloadToBuffer());
			}
		},
		// The server forgets all of it when it stops.
		cleanup: async () => {},
	};
});
