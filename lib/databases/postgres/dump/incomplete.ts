import { LifeboatError } from '../../../errors';

/** A dump that must not be taken for one. */
export function incomplete(reason: string, cause?: unknown): LifeboatError {
	return new LifeboatError('INCOMPLETE', `The dump is not complete: ${reason}`, {
		hint: 'Run the node again; if it happens again, report it as a bug, with the versions of the server and of Lifeboat',
		cause,
	});
}
