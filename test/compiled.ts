import { execFile } from 'node:child_process';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(__dirname, '..');

/**
 * Compiles the project, as users run it: where TypeScript is translated as it is loaded, threads and memory are not what they are there.
 *
 * @param folder an empty one. @returns the path of the compiled form of a file of the project.
 */
export async function compileProject(folder: string): Promise<(source: string) => string> {
	const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
	const options = ['-p', join(root, 'tsconfig.json'), '--noEmit', 'false', '--noCheck', '--outDir', folder];
	await promisify(execFile)(process.execPath, [compiler, ...options]);
	await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
	return (source) => join(folder, source.slice(root.length).replace(/\.ts$/, '.js'));
}
