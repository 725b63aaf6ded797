import type { Client } from 'pg';

import { wireOf } from '../../connection';
import type { SqlLexer } from '../sql/lexer';

/** The settings of a session that say how a script is to be read, as the server tells of their changes. */
export class SessionState {
	private readonly parameters = new Map<string, string>();

	constructor(client: Client) {
		wireOf(client).on('parameterStatus', (message: { parameterName: string; parameterValue: string }) => {
			this.parameters.set(message.parameterName, message.parameterValue);
		});
	}

	/** Tells a lexer of them. */
	applyTo(lexer: SqlLexer): void {
		const conforming = this.parameters.get('standard_conforming_strings');
		if (conforming !== undefined) lexer.standardConformingStrings = conforming === 'on';
		const encoding = this.parameters.get('client_encoding');
		if (encoding !== undefined) lexer.encoding = encoding;
	}

	/** Positions in a message of several statements are told in characters: only in UTF-8 are they counted here. */
	get isUtf8(): boolean {
		return (this.parameters.get('client_encoding') ?? 'UTF8') === 'UTF8';
	}
}
