import { LifeboatError } from '../errors';

/** The error of an upload of which what was sent so far stays for the next try. */
export function keptForNextTry(error: LifeboatError): LifeboatError {
	return new LifeboatError(error.code, `${error.message}. What was sent so far is kept`, {
		hint: `Run the node again, as Retry On Fail does: the upload goes on where it stopped. If it isn't, it is removed after a day. ${error.hint ?? ''}`.trim(),
		cause: error.cause,
	});
}
