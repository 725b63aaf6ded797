import { LifeboatError } from '../../../../errors';
import type { SqlStatement } from '../sql/lexer';
import { excerpt } from '../sql/statement';

/** @param why the end of a sentence. */
export function refusal(statement: SqlStatement, why: string): LifeboatError {
	return new LifeboatError(
		'STATEMENT_REFUSED',
		`The statement on line ${statement.line} of the script is refused: ${why}. Statement: ${excerpt(statement.sql)}`,
		{
			hint: isAboutDatabase(statement.head)
				? 'Choose to load the script into the target database whatever database it creates and connects to, or dump without --create'
				: 'Take it out of the script, or run the script with psql',
		},
	);
}

/** Whether a statement concerns a whole database. */
export function isAboutDatabase(head: readonly string[]): boolean {
	const [verb, second] = head;
	if (verb === 'ALTER' && isAboutRoleInDatabase(head)) return true;
	if (verb === 'CREATE' || verb === 'ALTER' || verb === 'DROP') return second === 'DATABASE';
	if (verb === 'COMMENT') return second === 'ON' && head[2] === 'DATABASE';
	if (verb === 'SECURITY' || verb === 'GRANT' || verb === 'REVOKE') {
		const on = head.indexOf('ON');
		return on !== -1 && head[on + 1] === 'DATABASE';
	}
	return false;
}

/** `ALTER ROLE clerk IN DATABASE shop SET ...`. */
export function isAboutRoleInDatabase(head: readonly string[]): boolean {
	if (head[1] !== 'ROLE' && head[1] !== 'USER') return false;
	return head.some((word, at) => word === 'IN' && head[at + 1] === 'DATABASE');
}
