import { LifeboatError } from '../../../../errors';
import { quoteIdentifier } from '../../identifiers';
import type { SqlMetaCommand, SqlStatement } from '../sql/lexer';
import { nameAt, tokensOf, type SqlToken } from '../sql/statement';

import type { Decision } from './decision';
import { isAboutRoleInDatabase, refusal } from './refusal';

/** The database that a script creates or connects to by itself, where another one is the target. */
export class ScriptDatabase {
	/** Once the script has said it. */
	private name: string | undefined;

	/** pg_dump's line before a `\connect` to a name that is more than letters, digits and underscores. */
	private encodingForConnect: SqlMetaCommand | undefined;

	constructor(
		private readonly target: string,
		/** The database whose place the target takes in the end; itself, unless there is one. */
		private readonly replaces: string,
		/** Load what is meant for that one database into the target instead. */
		private readonly skipsConnect: boolean,
	) {}

	/**
	 * Meta-commands are psql's, and never run: those without effect on what is restored are passed over.
	 *
	 * @throws LifeboatError `META_COMMAND_REFUSED`
	 */
	metaCommand(command: SqlMetaCommand): { warning?: string } {
		const text = command.text.replace(/\s*;?\s*$/, '');
		const match = /^\\(restrict|unrestrict|connect|c)(?:\s+(.*))?$/s.exec(text);
		const isForConnect = /^\\encoding SQL_ASCII$/.test(text) && !command.insideStatement;
		this.encodingForConnect = isForConnect ? command : undefined;
		if (isForConnect) return {};
		if (!match || command.insideStatement) throw refusedCommand(command);
		if (match[1]!.endsWith('restrict')) return {};
		const target = connectTarget(match[2] ?? '');
		if (target === undefined || target === '-' || this.isTarget(target)) return {};
		if (!this.skipsConnect) {
			throw refusedCommand(
				command,
				`it leads to the database ${target}, and this restore is into ${this.replaces}`,
				'Choose to load the script into the target database whatever it connects to, or take the line out',
			);
		}
		if (this.name !== undefined && this.name !== target) {
			throw refusedCommand(
				command,
				`the script also fills the database ${this.name}, and one restore fills one database`,
				'Cut the script into one for each database',
			);
		}
		this.name = target;
		return {
			warning: `The script is meant for the database ${target}: it was loaded into ${this.replaces} instead`,
		};
	}

	/** To be told that a statement follows. @throws LifeboatError `META_COMMAND_REFUSED` where a `\connect` had to. */
	noteStatement(): void {
		if (this.encodingForConnect) throw refusedCommand(this.encodingForConnect);
	}

	/**
	 * CREATE, ALTER, DROP, COMMENT ON, GRANT ON and the like, for a whole database. Another one than the target is never touched.
	 *
	 * @throws LifeboatError `STATEMENT_REFUSED`
	 */
	decide(statement: SqlStatement): Decision {
		const { head, sql, line } = statement;
		const tokens = tokensOf(sql, 400);
		const at = nameTokenOfDatabase(tokens, isAboutRoleInDatabase(head));
		const token = at === undefined ? undefined : tokens[at];
		if (head[0] === 'CREATE' || head[0] === 'DROP') {
			if (!this.skipsConnect) {
				throw refusal(
					statement,
					`the restore is into the database ${this.replaces}, which the script must not create or drop`,
				);
			}
			if (token && head[0] === 'CREATE') this.name ??= token.name;
			return {
				action: 'skip',
				warning: `${head[0]} DATABASE ${token?.name ?? ''} on line ${line} was left out: the target is ${this.replaces}`,
			};
		}
		if (!token) return { action: 'alone', sql };
		if (this.skipsConnect && !this.isTarget(token.name)) this.name ??= token.name;
		if (!this.isTarget(token.name) && token.name !== this.name) {
			throw refusal(
				statement,
				`it changes the database ${token.name}, and the restore is into ${this.replaces}`,
			);
		}
		if (token.name === this.target) return { action: 'alone', sql };
		const renamed = [
			sql.subarray(0, token.start),
			Buffer.from(quoteIdentifier(this.target)),
			sql.subarray(token.end),
		];
		return { action: 'alone', sql: Buffer.concat(renamed) };
	}

	private isTarget(name: string): boolean {
		return name === this.target || name === this.replaces;
	}
}

function firstWord(text: string): string {
	return /^\S{1,30}/.exec(text)?.[0] ?? '\\';
}

/** The database that the arguments of `\connect` name: a name, quoted or not, or connection settings with dbname. */
function connectTarget(args: string): string | undefined {
	const rest = args.replace(/^-reuse-previous=\w+\s+/, '').trim();
	const word = /^(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)'|(\S+))/.exec(rest);
	const text = word?.[1]?.replaceAll('""', '"') ?? word?.[2]?.replaceAll("''", "'") ?? word?.[3];
	if (text === undefined) return undefined;
	const inSettings = /(?:^|\s)dbname\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))/.exec(text);
	if (inSettings) return inSettings[1]?.replace(/\\(.)/g, '$1') ?? inSettings[2];
	const inUri = /^postgres(?:ql)?:\/\/[^/]*\/([^?]*)/.exec(text);
	return inUri ? decodeURIComponent(inUri[1]!) : text;
}

/** @param behindIn a role, whose name may be any word, stands before `IN DATABASE`. */
function nameTokenOfDatabase(tokens: readonly SqlToken[], behindIn: boolean): number | undefined {
	const isWord = (at: number, word: string) => tokens[at]?.kind === 'word' && tokens[at].text === word;
	let at =
		tokens.findIndex((_, index) => isWord(index, 'DATABASE') && (!behindIn || isWord(index - 1, 'IN'))) + 1;
	if (at === 0) return undefined;
	while (tokens[at]?.kind === 'word' && /^(IF|NOT|EXISTS)$/.test(tokens[at]!.text)) at += 1;
	return nameAt(tokens, at) ? at : undefined;
}

function refusedCommand(
	{ text, line }: SqlMetaCommand,
	why = 'a restore only runs SQL, never commands of the psql program',
	hint = text.startsWith('\\.')
		? 'Rows end here that no COPY before it has begun: the script is damaged'
		: 'Take the line out of the script if the restore can do without it, or run the script with psql',
): LifeboatError {
	return new LifeboatError(
		'META_COMMAND_REFUSED',
		`The psql command ${firstWord(text)} on line ${line} of the script is refused: ${why}`,
		{ hint },
	);
}
