import type { Production } from '../../../artifact/produce';
import type { EngineContext } from '../../engine';

import { incomplete } from './dump-session';
import { runDump, type DumpSettings, type RunningDump } from './run-dump';

/** Starts a dump as plain SQL. Nothing of it is kept in memory but what is on its way. @throws as `runDump`. */
export async function startPlainDump(settings: DumpSettings, context: EngineContext): Promise<Production> {
	return runDump(settings, 'in place', plainText, context);
}

const trailerLength = 512;
const trailer = /\n-- PostgreSQL database dump complete\n--\n\n(?:\\unrestrict \w+\n\n)?$/;

async function* plainText(dump: RunningDump): AsyncGenerator<Buffer> {
	let end: Buffer = Buffer.alloc(0);
	let atStart = true;
	for await (const bytes of dump.output([])) {
		yield atStart ? withPortableSettings(bytes) : bytes;
		atStart = false;
		end = bytes.length < trailerLength ? Buffer.concat([end, bytes]).subarray(-trailerLength) : bytes;
	}
	if (!trailer.test(end.toString('latin1', Math.max(0, end.length - trailerLength)))) {
		throw incomplete('its last line is missing');
	}
}

/**
 * The settings at the start of a dump name a parameter that servers before 17 don't know: there, `psql` with ON_ERROR_STOP
 * would stop at it. In this form it has the same effect where it is known, and none elsewhere.
 */
function withPortableSettings(start: Buffer): Buffer {
	const line = '\nSET transaction_timeout = 0;\n';
	const at = start.indexOf(line);
	if (at < 0) throw incomplete('it does not begin as expected');
	return Buffer.concat([
		start.subarray(0, at),
		Buffer.from(
			"\nSELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout';\n",
		),
		start.subarray(at + line.length),
	]);
}
