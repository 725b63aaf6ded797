/** Stages two megabytes in a folder and prints the error. */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';

import { produceArtifact } from '../../../lib/artifact/produce';
import { StagingFolder } from '../../../lib/artifact/staging';
import type { LifeboatError } from '../../../lib/errors';

void (async () => {
	const source = {
		type: 'database',
		engine: 'postgresql',
		serverVersion: '17.10',
		database: 'shop',
	} as const;
	const artifact = produceArtifact(
		{
			name: 'shop',
			kind: 'database',
			format: 'plain-sql',
			source,
			now: new Date('2026-11-21T02:00:00Z'),
			extension: '.sql',
		},
		async () => ({ stream: Readable.from([randomBytes(2_000_000)]), finish: async () => ({}) }),
	);
	try {
		const staging = new StagingFolder(process.argv[2]!, '1');
		await staging.create();
		await staging.write(artifact);
		console.log('staged');
	} catch (error) {
		const { code, message } = error as LifeboatError;
		console.log(`${code}: ${message}`);
	}
})();
