import { execFile } from 'node:child_process';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The providers of security labels that the library registers. */
export const labelProviders = ['house', 'Ünü"sual'] as const;

/**
 * Compiles a library for `shared_preload_libraries` of PostgreSQL 15, by which it takes security labels.
 *
 * @param folder where the library is put; the server must be able to read it.
 * @returns its path.
 */
export async function compileLabelProvider(folder: string): Promise<string> {
	const library = join(folder, 'label-provider.so');
	await promisify(execFile)('gcc', [
		...['-shared', '-fPIC', '-Wall', '-Werror', '-o', library],
		join(__dirname, 'label-provider.c'),
	]);
	await chmod(folder, 0o755);
	return library;
}
