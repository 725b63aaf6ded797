/** Unpacks an archive, as whoever runs this, and prints the report or the error. */
import { createReadStream } from 'node:fs';

import { extractFiles, type ExtractOptions } from '../../../lib/archive/extract';
import type { LifeboatError } from '../../../lib/errors';

const [archive, target, options] = process.argv.slice(2) as [string, string, string];

void (async () => {
	try {
		const report = await extractFiles(
			createReadStream(archive),
			target,
			JSON.parse(options) as ExtractOptions,
		);
		console.log(JSON.stringify(report));
	} catch (error) {
		const { code, message, hint } = error as LifeboatError;
		console.log(`${code}: ${message}: ${hint}`);
	}
})();
