import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';

/** Runs a command with bytes on its standard input. @returns what it wrote. Fails with what it said. */
export async function run(
	command: string,
	args: readonly string[],
	input: Buffer | string = '',
): Promise<Buffer> {
	const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
	// It may end before it has read everything; its status tells.
	child.stdin.on('error', () => undefined);
	child.stdin.end(input);
	const [output, said, [status]] = await Promise.all([
		buffer(child.stdout),
		buffer(child.stderr),
		once(child, 'close') as Promise<[number | null]>,
	]);
	if (status !== 0)
		throw new Error(
			`${command} ended with status ${status}: ${said.toString()} ${output.toString('latin1', 0, 500)}`,
		);
	return output;
}

/**
 * Runs `age` where it asks for a passphrase. It reads that from a terminal only: `script` gives it one.
 *
 * @param answers a line for each question.
 */
export async function runAgeWithPassphrase(
	args: readonly string[],
	answers: readonly string[],
): Promise<void> {
	const command = ['age', ...args].map((word) => `'${word}'`).join(' ');
	await run(
		'script',
		['--quiet', '--return', '--command', command, '/dev/null'],
		answers.map((line) => `${line}\n`).join(''),
	);
}
