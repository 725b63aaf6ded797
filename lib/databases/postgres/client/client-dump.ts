import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';

import type { Production } from '../../../artifact/produce';
import { LifeboatError, messageOf } from '../../../errors';
import { stoppable } from '../../../streams/stoppable';
import type { EngineContext } from '../../engine';
import type { PostgresConnection } from '../connection';
import { postgresError } from '../errors';
import { incomplete } from '../dump/incomplete';
import { defaultLockTimeoutMs, selectionArguments, type PostgresDumpOptions } from '../dump/options';

import { clientEnvironment } from './environment';
import { findInArchive, findInPlain, type Findings } from './findings';
import type { ClientProgram } from './program';

/** So much of what pg_dump complains about is kept: its end. */
const logLength = 16 * 1024;

export interface ClientDumpSettings {
	connection: PostgresConnection;
	options: PostgresDumpOptions;
	encoding: string;
	program: ClientProgram;
}

/** The arguments of an installed pg_dump. @throws LifeboatError `OPTIONS_CONFLICT` for what it can't do. */
export function clientArguments({
	options,
	encoding,
	program,
}: Omit<ClientDumpSettings, 'connection'>): string[] {
	if (options.statementTimeoutMs) {
		throw new LifeboatError('OPTIONS_CONFLICT', 'The pg_dump client allows no time-out for statements', {
			hint: 'Leave Statement Time-Out at 0, or choose the built-in engine',
		});
	}
	const { archiveCompression: compression = 'gzip', archiveLevel, largeObjects } = options;
	if (options.format === 'custom' && compression === 'zstd' && program.major < 16) {
		throw new LifeboatError(
			'OPTIONS_CONFLICT',
			`pg_dump ${program.major} does not know the compression zstd`,
			{
				hint: 'Choose gzip, a pg_dump of version 16 or newer, or the built-in engine',
			},
		);
	}
	const level = archiveLevel ?? (compression === 'zstd' ? 1 : 6);
	const compress =
		program.major < 16
			? `--compress=${compression === 'none' ? 0 : level}`
			: `--compress=${compression === 'none' ? 'none' : `${compression}:${level}`}`;
	const locks = options.lockTimeoutMs ?? defaultLockTimeoutMs;
	return [
		'--no-password',
		...(options.format === 'custom' ? ['--format=custom', compress] : ['--format=plain']),
		`--encoding=${encoding}`,
		...(locks > 0 ? [`--lock-wait-timeout=${locks}`] : []),
		...selectionArguments(options),
		// Named so by all versions.
		...(largeObjects === undefined ? [] : [largeObjects ? '--blobs' : '--no-blobs']),
	];
}

/**
 * Starts a dump by an installed pg_dump. Success means: it ended with success, the format's own end was there, and what the manifest says
 * was counted in the very bytes that are given on.
 *
 * @throws LifeboatError `OPTIONS_CONFLICT`; the stream fails with `PG_DUMP_FAILED`, `INCOMPLETE`, `CANCELLED`.
 */
export async function startClientDump(
	settings: ClientDumpSettings,
	context: EngineContext,
): Promise<Production> {
	const args = clientArguments(settings);
	const stop = new AbortController();
	const signal = context.signal ? AbortSignal.any([context.signal, stop.signal]) : stop.signal;
	const { connection, program, options } = settings;
	const doing = `dumping database ${connection.database}`;
	let findings: Findings | undefined;

	async function* bytes(): AsyncGenerator<Buffer> {
		const environment = await clientEnvironment(connection);
		let child: ChildProcess | undefined;
		const seen = new PassThrough({ highWaterMark: 1024 * 1024 });
		try {
			child = spawn(program.path, args, { env: environment.env, signal, stdio: ['ignore', 'pipe', 'pipe'] });
			const ended = exitOf(child);
			const found = options.format === 'custom' ? findInArchive(seen) : findInPlain(seen);
			// It is awaited at the end; a failure before that must not end the process.
			found.catch(() => seen.resume());
			for await (const chunk of child.stdout! as AsyncIterable<Buffer>) {
				if (!seen.write(chunk)) await once(seen, 'drain', { signal });
				yield chunk;
			}
			const { succeeded, log } = await ended;
			if (!succeeded) throw clientError(doing, log);
			seen.end();
			findings = await found.catch((error: unknown) => {
				throw incomplete(`what pg_dump wrote is not whole (${messageOf(error)})`, error);
			});
		} catch (error) {
			if (signal.aborted) throw postgresError(signal.reason, doing);
			throw error instanceof LifeboatError ? error : postgresError(error, doing);
		} finally {
			seen.destroy();
			child?.kill();
			await environment.remove();
		}
	}

	return {
		stream: stoppable(bytes(), stop),
		async finish() {
			if (!findings) throw incomplete('its end was not reached');
			return { ...findings };
		},
	};
}

/** How it ended, and what it complained about. */
async function exitOf(child: ChildProcess): Promise<{ succeeded: boolean; log: string }> {
	let log = '';
	child.stderr!.on('data', (text) => (log = (log + String(text)).slice(-logLength)));
	return new Promise((resolve) => {
		child.on('error', (error) => resolve({ succeeded: false, log: log || messageOf(error) }));
		child.on('close', (code) => resolve({ succeeded: code === 0, log }));
	});
}

function clientError(doing: string, log: string): LifeboatError {
	const lines = log.trim().split('\n');
	const said = lines.find((line) => line.includes('error:')) ?? lines.at(-1) ?? '';
	const locked = /(?:statement|lock) timeout[^]*Query was: LOCK TABLE (.*) IN ACCESS SHARE MODE/.exec(
		log,
	)?.[1];
	if (locked) {
		return new LifeboatError('TABLE_LOCKED', `Waiting for ${locked} took too long: the dump was not made`, {
			hint: 'Another session holds a lock: end that transaction, run at a quieter time, or allow a longer lock time-out',
			cause: new Error(log),
		});
	}
	const text = said.replace(/^\S*pg_dump: /, '') || 'it was ended, and said nothing';
	return new LifeboatError('PG_DUMP_FAILED', `${doing.replace('d', 'D')} failed. pg_dump says: ${text}`, {
		hint: lines.length > 1 ? `All that pg_dump said: ${log.trim()}` : 'See the log of the server',
		cause: new Error(log),
	});
}
