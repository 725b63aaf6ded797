import { codeOf, LifeboatError } from '../errors';

import { isTlsError, networkProblem } from './network-errors';

/** What went wrong, as an operator shall read it. */
export interface Failure {
	code: string;
	/** What follows `<what was tried> failed: `. */
	problem: string;
	hint: string;
}

/** HTTP status codes with which a service tells of troubles of its own that may go away. */
export const TRANSIENT = [429, 500, 502, 503, 504] as const;

/** What to do where the connection may be told not to check the certificate. */
export const certificateHint =
	'Give the CA certificate of the server, or Ignore SSL Issues if you accept that nobody vouches for it';

/**
 * What a driver threw, as an error an operator understands. An abort, and an error of our own, pass unchanged.
 *
 * @param action such as `Uploading nightly/shop.sql to bucket backups at s3.example.com`.
 */
export function explained(error: unknown, action: string, diagnose: (error: unknown) => Failure): unknown {
	if (error instanceof LifeboatError || isAbort(error)) return error;
	const { code, problem, hint } = diagnose(error);
	return new LifeboatError(code, `${action} failed: ${problem}`, { hint, cause: error });
}

/**
 * What went wrong with a connection; nothing if the error isn't one of the network.
 *
 * @param hints what to do about a certificate that was not accepted, and about anything else.
 */
export function connectionFailure(
	error: unknown,
	hints: { certificate: string; other: string },
	problem = networkProblem(error),
): Failure | undefined {
	if (problem === undefined) return undefined;
	return {
		code: 'CONNECTION_FAILED',
		problem,
		hint: isTlsError(error) ? hints.certificate : hints.other,
	};
}

function isAbort(error: unknown): boolean {
	return (error instanceof Error && error.name === 'AbortError') || codeOf(error) === 'ABORT_ERR';
}
