import { after, before } from 'node:test';

import { azureStorage } from '../../../../lib/storage/azure/azure-storage';
import { startAzurite, type AzuriteServer } from '../../../servers/azurite';
import { storageConformance } from '../conformance';
import { crashWhileStoring } from '../crash';

let server: AzuriteServer;
before(async () => {
	server = await startAzurite();
});
after(() => server.stop());

storageConformance(
	'Azure Blob (Azurite)',
	async () => {
		const settings = await server.container();
		const container = server.client.getContainerClient(settings.container);
		const leftovers = async () => {
			const keys: string[] = [];
			for await (const { name, properties } of container.listBlobsFlat({ includeUncommitedBlobs: true })) {
				// What an upload sent before it failed stays as blocks that nobody sees: there is no request that removes them
				// alone. So only those of the killed process are looked at, which `removeUnfinished` must find.
				if (name === 'nightly/killed' && !properties.contentType) keys.push(name);
				if (name.includes('.lifeboat-')) keys.push(name);
			}
			return keys;
		};
		return {
			storage: azureStorage(settings),
			leftovers,
			crash: (key) => crashWhileStoring(settings, key, leftovers),
			// The server forgets all of it when it stops.
			cleanup: async () => {},
		};
	},
	{ many: 1100, refuses: (key) => key.endsWith('.') || key.includes('\\') },
);
