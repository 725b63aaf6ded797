import { LifeboatError } from '../../../../errors';

/** @param where such as `inside a string that begins on line 5`. */
export function endsEarly(where: string): LifeboatError {
	return new LifeboatError('INCOMPLETE', `The SQL script ends ${where}`, {
		hint: 'The file is cut off. Restore from another copy of this backup, or from an older one; a script written by hand needs a semicolon behind its last statement',
	});
}

/** @param copyLine that of the COPY statement. */
export function endsInRows(copyLine: number): LifeboatError {
	return endsEarly(`inside the rows of the COPY on line ${copyLine}: the line \\. is missing`);
}

/** @param most in bytes. */
export function statementTooLong(line: number, most: number): LifeboatError {
	return new LifeboatError(
		'STATEMENT_TOO_LONG',
		`The statement that begins on line ${line} is longer than ${most} bytes`,
		{ hint: 'PostgreSQL takes no longer statement. Look at that line for a quote that is never closed' },
	);
}

export function holdsZeroByte(line: number): LifeboatError {
	return new LifeboatError('INVALID_SQL', `The statement that begins on line ${line} holds a zero byte`, {
		hint: 'This is no SQL text in an encoding that PostgreSQL takes: it may be UTF-16 or a damaged file',
	});
}

export function textBehindCopy(line: number): LifeboatError {
	return new LifeboatError(
		'INVALID_SQL',
		`Line ${line} of the script has something behind its COPY statement`,
		{ hint: 'Put what follows the semicolon on a line of its own behind the rows' },
	);
}
