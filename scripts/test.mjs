// Runs the tests: the files that are named, or all of them. On Node 24, with Node's own runner.
import { globSync } from 'node:fs';

import { root, runNode } from './tools.mjs';

const named = process.argv.slice(2);
const files =
	named.length > 0
		? named
		: globSync('test/**/*.test.ts', { cwd: root, exclude: ['**/node_modules/**'] }).sort();
if (files.length === 0) throw new Error('There are no tests');

// Files that start many servers or a browser are heavy: two at a time is what a small machine takes.
await runNode([
	'--import',
	'tsx',
	'--test',
	'--test-concurrency=2',
	'--test-timeout=600000',
	'--test-reporter=spec',
	...files,
]).catch((error) => {
	console.error(error.message);
	process.exitCode = 1;
});
