import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A server process that runs in the foreground. */
export interface ServerProcess {
	readonly pid: number;
	/** Whether it still runs. */
	running(): boolean;
	/** What it wrote so far. */
	output(): Promise<string>;
	/** Ends it, by force if it takes more than 5 s. */
	stop(signal?: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<void>;
}

/** Starts a server that writes to a log file. It dies with the test that started it. */
export function startProcess(
	program: string,
	args: readonly string[],
	log: string,
	options: SpawnOptions = {},
): ServerProcess {
	const output = openSync(log, 'a');
	const child = spawn(program, args, { cwd: '/', ...options, stdio: ['ignore', output, output] });
	closeSync(output);
	let failure: Error | undefined;
	child.on('error', (error) => (failure = error));
	const kill = () => child.kill('SIGKILL');
	process.on('exit', kill);
	const running = () => failure === undefined && child.exitCode === null && child.signalCode === null;
	return {
		pid: child.pid ?? -1,
		running,
		output: async () => (failure ? failure.message : readFile(log, 'utf8')),
		async stop(signal = 'SIGTERM') {
			process.off('exit', kill);
			if (running()) await end(child, signal);
		},
	};
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
	const force = setTimeout(() => child.kill('SIGKILL'), 5000);
	child.kill(signal);
	await once(child, 'exit');
	clearTimeout(force);
}

/** Runs a command to its end and returns what it printed. @throws Error with what it complained about. */
export async function runCommand(
	program: string,
	args: readonly string[],
	options: SpawnOptions = {},
): Promise<string> {
	const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
	const printed: string[] = [];
	const complaints: string[] = [];
	child.stdout?.on('data', (chunk) => printed.push(String(chunk)));
	child.stderr?.on('data', (chunk) => complaints.push(String(chunk)));
	const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
	if (code === 0) return printed.join('');
	throw new Error(`${program} ${args.join(' ')} ended with ${code ?? signal}: ${complaints.join('')}`);
}

/** Waits until something holds, at most 60 s, or until the server it depends on has ended. */
export async function waitUntil(
	what: string,
	holds: () => Promise<boolean>,
	server?: ServerProcess,
): Promise<void> {
	for (const deadline = Date.now() + 60_000; !(await holds()); await sleep(25)) {
		if (Date.now() < deadline && server?.running() !== false) continue;
		throw new Error(`${what} did not come up: ${(await server?.output()) ?? ''}`);
	}
}

/** Whether something listens on a loopback port. */
export async function isListening(port: number): Promise<boolean> {
	const socket = connect(port, '127.0.0.1');
	try {
		await once(socket, 'connect');
		return true;
	} catch {
		return false;
	} finally {
		socket.destroy();
	}
}
