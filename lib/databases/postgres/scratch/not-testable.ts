import { LifeboatError } from '../../../errors';
import type { RestoreTestRequest } from '../../scratch';
import { serverErrorOf } from '../restore/errors';

import type { DumpNeeds } from './needs';

/** What a place may lack without any fault of the backup: extensions, roles, rights, room for locks. */
const lacking = new Set(['EXTENSION_MISSING', 'ROLE_MISSING', 'NOT_PERMITTED', 'TOO_MANY_LOCKS']);

/** What a server says of what it was not built with: `feature_not_supported`, `undefined_file` (a library). */
const notBuiltIn = /^(?:0A000|58P01)$/;

/** `undefined_object` and `invalid_parameter_value`: such things belong to the server, and never come with a dump of a database. */
const notAround = /^(?:42704|22023)$/;
const ofTheServer =
	/\b(?:collation "pg_catalog\.|default_tablespace|default_table_access_method|could not create locale)/;

/** Bytes that are no text in the encoding of the place: `character_not_in_repertoire`, `untranslatable_character`. */
const notInEncoding = /^(?:22021|22P05)$/;

/**
 * Turns the failure of a restore into `NOT_TESTABLE` where it is the place that lacks something: a failure proves something of a
 * backup only where it could have succeeded. All other errors stay as they are.
 *
 * @param place what it is, the version of its PostgreSQL and what the backup needs, as far as that is known by then.
 */
export function asNotTestable(
	error: unknown,
	{ manifest }: RestoreTestRequest,
	place: { what: string; version: string | undefined; needs?: DumpNeeds | undefined; hint?: string },
): unknown {
	if (!(error instanceof LifeboatError)) return error;
	// A backup of roles brings them itself.
	if (error.code === 'ROLE_MISSING' && place.needs?.isGlobals)
		return new LifeboatError('STATEMENT_FAILED', error.message, { hint: error.hint, cause: error });
	const { source } = manifest;
	const dumped = source?.type === 'database' ? Number.parseInt(source.serverVersion, 10) : Number.NaN;
	const isOlder = error.code === 'STATEMENT_FAILED' && dumped > Number.parseInt(place.version ?? '', 10);
	const code = serverErrorOf(error.cause)?.code ?? '';
	const isLacking =
		lacking.has(error.code) ||
		notBuiltIn.test(code) ||
		(notAround.test(code) && ofTheServer.test(error.message)) ||
		(notInEncoding.test(code) && place.needs?.encoding === 'SQL_ASCII');
	if (!isOlder && !isLacking) return error;
	const why = isOlder ? `is older than the PostgreSQL ${dumped} it comes from` : 'lacks what it needs';
	return new LifeboatError(
		'NOT_TESTABLE',
		`The backup can't be tested there: ${place.what} ${why}. ${error.message}`,
		{ hint: place.hint ?? error.hint, cause: error },
	);
}
