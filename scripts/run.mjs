// `npm run X` lands here: installs what is missing, then does X on Node 24.
import { rm } from 'node:fs/promises';

import { installN8n, installProject, root, runNode, runTool, say } from './tools.mjs';

const [task, ...rest] = process.argv.slice(2);

async function build() {
	say('Building');
	await rm(`${root}/dist`, { recursive: true, force: true });
	await runTool('tsc', ['-p', 'tsconfig.build.json']);
	await runTool('gulp', ['build', '--silent']);
}

const typecheck = () => runTool('tsc', ['-p', 'tsconfig.json']);

async function lint() {
	say('Lint and format');
	await runTool('eslint', ['--max-warnings', '0', '.']);
	await runTool('prettier', ['--check', '--log-level', 'warn', '.']);
}

/** All tests, or the files that are named. */
async function test() {
	if (rest.length === 0) {
		await installN8n();
		await runNode(['scripts/debian-packages.mjs']);
		await build();
	}
	say('Testing');
	await runNode(['scripts/test.mjs', ...rest]);
}

const tasks = {
	build,
	typecheck,
	lint,
	test,
	async demo() {
		await installN8n();
		await build();
		await runNode(['--import', 'tsx', 'demo/demo.ts', ...rest]);
	},
	async bench() {
		await runNode(['--import', 'tsx', 'test/bench/bench.ts', ...rest]);
	},
};

try {
	if (!tasks[task]) throw new Error(`There is no task ${task}; there are ${Object.keys(tasks).join(', ')}`);
	await installProject();
	await tasks[task]();
} catch (error) {
	console.error(`\n${error.message}`);
	process.exitCode = 1;
}
