import { LifeboatError } from '../../../errors';
import type { RestoreTestRequest } from '../../scratch';
import { serverErrorOf } from '../restore/errors';

/** What a place may lack without any fault of the backup: extensions, roles, rights, room for locks. */
const lacking = new Set(['EXTENSION_MISSING', 'ROLE_MISSING', 'NOT_PERMITTED', 'TOO_MANY_LOCKS']);

/** What a server says of what it was not built with: `feature_not_supported`, `undefined_file` (a library). */
const notBuiltIn = /^(?:0A000|58P01)$/;

/**
 * Turns the failure of a restore into `NOT_TESTABLE` where it is the place that lacks something: a failure proves something of a
 * backup only where it could have succeeded. All other errors stay as they are.
 *
 * @param place what it is, and the version of its PostgreSQL, as far as that is known by then.
 */
export function asNotTestable(
	error: unknown,
	{ manifest }: RestoreTestRequest,
	place: { what: string; version: string | undefined; hint?: string },
): unknown {
	if (!(error instanceof LifeboatError)) return error;
	const { source } = manifest;
	const dumped = source?.type === 'database' ? Number.parseInt(source.serverVersion, 10) : Number.NaN;
	const isOlder = error.code === 'STATEMENT_FAILED' && dumped > Number.parseInt(place.version ?? '', 10);
	const isLacking = lacking.has(error.code) || notBuiltIn.test(serverErrorOf(error.cause)?.code ?? '');
	if (!isOlder && !isLacking) return error;
	const why = isOlder ? `is older than the PostgreSQL ${dumped} it comes from` : 'lacks what it needs';
	return new LifeboatError(
		'NOT_TESTABLE',
		`The backup can't be tested there: ${place.what} ${why}. ${error.message}`,
		{ hint: place.hint ?? error.hint, cause: error },
	);
}
