import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { codeOf, LifeboatError, messageOf } from '../../../errors';

const run = promisify(execFile);

/** A pg_dump that is installed on this machine. */
export interface ClientProgram {
	path: string;
	/** As it says: `15.20 (Debian 15.20-0+deb12u1)`. */
	version: string;
	major: number;
}

/** Nothing of this process's environment that steers libpq, and nothing secret of it, reaches the program. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
	const { PATH, HOME, TMPDIR, LD_LIBRARY_PATH } = process.env;
	return { PATH, HOME, TMPDIR, LD_LIBRARY_PATH, LC_ALL: 'C', TZ: 'UTC' };
}

/**
 * Finds a pg_dump and asks for its version.
 *
 * @param path of the program; unless given, it is looked for as a shell would. @throws LifeboatError `CLIENT_NOT_FOUND`.
 */
export async function findPgDump(path = 'pg_dump', signal?: AbortSignal): Promise<ClientProgram> {
	try {
		const { stdout } = await run(path, ['--version'], { env: cleanEnvironment(), timeout: 30_000, signal });
		const version = /^pg_dump \(PostgreSQL\) (.+)$/m.exec(stdout)?.[1];
		if (version !== undefined) return { path, version, major: Number.parseInt(version) };
	} catch (error) {
		if (signal?.aborted) throw error;
		const isMissing = codeOf(error) === 'ENOENT';
		throw new LifeboatError(
			'CLIENT_NOT_FOUND',
			isMissing ? `There is no program ${path} on this machine` : `The program ${path} can't be run`,
			{
				hint: `Install the PostgreSQL client, give the whole path of its pg_dump, or choose the built-in engine, which needs none${isMissing ? '' : ` (${messageOf(error).replaceAll(/\bE[A-Z]{4,}\b/g, 'the system refused it')})`}`,
				cause: error,
			},
		);
	}
	throw new LifeboatError('CLIENT_NOT_FOUND', `The program ${path} is not PostgreSQL's pg_dump`, {
		hint: 'Give the path of a pg_dump, or choose the built-in engine',
	});
}
