import type { Production } from '../../../artifact/produce';
import type { EngineContext } from '../../engine';
import { copyStatement } from '../archive/skeleton';

import type { DumpedTable } from './dump-session';
import { incomplete } from './incomplete';
import { readLargeObject, writingStatements } from './large-objects';
import { propertyComments } from './property-comments';
import { readAhead } from './read-ahead';
import { openRows } from './row-readers';
import { runDump, type DumpSettings, type RunningDump } from './run-dump';
import { Script } from './script';
import { SequenceScanner } from './sequence-values';
import { joinSmall } from './small-pieces';

/**
 * Starts a dump as plain SQL. In memory there are its statements (the schema), compressed, never the data.
 *
 * pg_dump writes a script without rows; once it has ended, the rows are read and put at their places.
 *
 * @throws as `runDump`.
 */
export async function startPlainDump(settings: DumpSettings, context: EngineContext): Promise<Production> {
	return runDump(settings, 'script', (dump) => joinSmall(plainText(dump)), context);
}

async function* plainText(dump: RunningDump): AsyncGenerator<Buffer> {
	const script = await readScript(dump);
	const rows = await openRows(dump);
	const ahead = readAhead(dump.session.dumpedTables, rows, dump.signal);
	const hasStandardStrings = dump.parameters.get('standard_conforming_strings') !== 'off';
	try {
		for await (const part of script.parts()) {
			if (Buffer.isBuffer(part)) yield part;
			else if ('table' in part) yield* copyBlock(part.table, ahead.of(part.table));
			else yield* writingStatements(readLargeObject(dump.client, part.largeObject), hasStandardStrings);
		}
	} finally {
		rows.end();
		ahead.end();
	}
}

async function* copyBlock(
	{ target, columns }: DumpedTable,
	rows: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
	yield Buffer.from(copyStatement(target!.sql, columns), 'latin1');
	yield* rows;
	yield Buffer.from('\\.\n');
}

const trailerLength = 512;
const trailer = /\n-- PostgreSQL database dump complete\n--\n\n(?:\\unrestrict \w+\n\n)?$/;

/** @throws LifeboatError `INCOMPLETE` unless it begins and ends as pg_dump's scripts do. */
async function readScript(dump: RunningDump): Promise<Script> {
	const script = new Script();
	const comments = await propertyComments(dump.client, dump.settings.options);
	const scanner = new SequenceScanner();
	let end: Buffer = Buffer.alloc(0);
	let atStart = true;
	for await (const bytes of dump.output([], (place) => script.place(place))) {
		await script.write(atStart ? withComments(withPortableSettings(bytes), comments) : bytes);
		scanner.push(bytes);
		atStart = false;
		end = bytes.length < trailerLength ? Buffer.concat([end, bytes]).subarray(-trailerLength) : bytes;
	}
	if (!trailer.test(end.toString('latin1', Math.max(0, end.length - trailerLength)))) {
		throw incomplete('its last line is missing');
	}
	dump.sequences = scanner.values;
	return script;
}

/** Behind the lines that say what the dump is of. */
function withComments(start: Buffer, comments: string): Buffer {
	if (comments === '') return start;
	const at = start.indexOf('\nSET ');
	return Buffer.concat([start.subarray(0, at), Buffer.from(`\n${comments}`), start.subarray(at)]);
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
