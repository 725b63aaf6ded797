/** What a caller may say about a failure besides its message. */
export interface LifeboatErrorDetails {
	/** What the operator should do next. One or two sentences. */
	hint?: string;
	/** The error that led to this one. Kept for logs, never shown whole: it may hold a connection string. */
	cause?: unknown;
}

/**
 * The only kind of error that `lib` throws on purpose.
 *
 * The message says what failed and on which thing (database, key, path); the hint says what to do next. Neither ever
 * holds a secret. The code is stable: workflows and tests may branch on it.
 */
export class LifeboatError extends Error {
	override readonly name = 'LifeboatError';

	readonly hint: string | undefined;

	constructor(
		/** Stable, upper case, such as `CHECKSUM_MISMATCH`. */
		readonly code: string,
		message: string,
		details: LifeboatErrorDetails = {},
	) {
		super(message, details.cause === undefined ? undefined : { cause: details.cause });
		this.hint = details.hint;
	}
}

/** The text of anything that was thrown, without its stack. */
export function messageOf(error: unknown): string {
	if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
	return error instanceof Error ? error.message : String(error);
}

/** The `code` of a system, network or database error, if it has one. */
export function codeOf(error: unknown): string | undefined {
	const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
	return typeof code === 'string' ? code : undefined;
}
