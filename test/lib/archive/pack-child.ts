/** Packs a folder, as whoever runs this, and prints the names and what was left out or changed, or the error. */
import type { LifeboatError } from '../../../lib/errors';
import { listArchive } from '../../../lib/archive/extract';

import { pack, streamOf } from './helpers';

const [folder, policy] = process.argv.slice(2) as [string, 'fail' | 'skip-and-report'];

void (async () => {
	try {
		const { bytes, source } = await pack({ paths: [folder], ifUnreadable: policy });
		const names: string[] = [];
		for await (const { name } of listArchive(streamOf(bytes))) names.push(name);
		console.log(JSON.stringify({ skipped: source.skipped, changed: source.changed, names }));
	} catch (error) {
		const { code, message } = error as LifeboatError;
		console.log(`${code}: ${message}`);
	}
})();
