import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';

/** The Node that the kit is tried on: another one than that of the tests if named, such as the oldest that the kit promises. */
const node = process.env.LIFEBOAT_RECOVERY_NODE ?? process.execPath;

/** Runs `recover.mjs` in the folder it lies in, with no terminal to ask at. */
export async function recoverIn(
	folder: string,
	args: readonly string[],
	input?: Buffer,
	env: NodeJS.ProcessEnv = {},
): Promise<{ output: Buffer; said: string; status: number | null }> {
	const child = spawn(node, ['recover.mjs', ...args], {
		cwd: folder,
		env: { PATH: process.env.PATH, ...env },
		stdio: ['pipe', 'pipe', 'pipe'],
		detached: true,
	});
	child.stdin.on('error', () => undefined);
	child.stdin.end(input);
	const [output, said, [status]] = await Promise.all([
		buffer(child.stdout),
		buffer(child.stderr),
		once(child, 'close') as Promise<[number | null]>,
	]);
	return { output, said: said.toString(), status };
}
