import { readdir } from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { localStorage } from '../../../../lib/storage/local/local-storage';
import { storageConformance } from '../conformance';
import { crashWhileStoring } from '../crash';

storageConformance('local folder', async () => {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-local-'));
	const leftovers = async () => {
		const paths = await readdir(folder, { recursive: true });
		return paths.filter((path) => basename(path).startsWith('.lifeboat-'));
	};
	return {
		storage: localStorage({ folder }),
		leftovers,
		crash: (key) => crashWhileStoring({ folder }, key, leftovers),
		cleanup: () => rm(folder, { recursive: true }),
	};
});
