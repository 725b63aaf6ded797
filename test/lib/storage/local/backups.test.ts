import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { localStorage } from '../../../../lib/storage/local/local-storage';
import { backupConformance } from '../backup-conformance';

backupConformance('a local folder', async () => {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-local-'));
	return {
		storage: localStorage({ folder }),
		async flipBit(key) {
			const content = await readFile(join(folder, key));
			content[content.length >> 1]! ^= 1;
			await writeFile(join(folder, key), content);
		},
		fetchAll: (prefix, target) => cp(join(folder, prefix), target, { recursive: true }),
		cleanup: () => rm(folder, { recursive: true }),
	};
});
