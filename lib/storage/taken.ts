import { LifeboatError } from '../errors';

/** What to throw where a key is taken. */
export function alreadyExists(key: string, description: string, cause?: unknown): LifeboatError {
	return new LifeboatError('ALREADY_EXISTS', `${key} already exists in ${description}`, {
		hint: 'Choose another key, or allow the existing one to be replaced',
		cause,
	});
}

/** What to throw where something that isn't a file has the name of a key. */
export function inTheWay(path: string): LifeboatError {
	return new LifeboatError('INVALID_KEY', `${path} is a folder or a link, no file`, {
		hint: 'Choose another key',
	});
}

/** What to throw where the source isn't as long as it was said to be. */
export function wrongLength(key: string, expected: number, found: number): LifeboatError {
	return new LifeboatError(
		'INCOMPLETE',
		`The source of ${key} should have ${expected} bytes, but ${found} came`,
		{ hint: 'It was cut short, or something changed it meanwhile. Run the node again' },
	);
}

/** What to throw where fewer or more bytes lie than were sent. */
export function truncated(key: string, description: string, sent: number, stored: number): LifeboatError {
	return new LifeboatError(
		'INCOMPLETE',
		`${description} stored ${stored} bytes of ${key}, but ${sent} were sent`,
		{ hint: 'Check the disk, the quota and the log of the server, then run the node again' },
	);
}

/** What to throw where an object is gone right after it got its name. */
export function vanished(key: string, description: string): LifeboatError {
	return new LifeboatError(
		'STORAGE_FAILED',
		`${key} vanished from ${description} right after it was stored`,
		{
			hint: 'Something on the server moves or deletes new files. Give Lifeboat a folder of its own',
		},
	);
}
