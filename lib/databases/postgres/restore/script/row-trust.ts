import type { SqlStatement } from '../sql/lexer';

/** Statements after which the rows in the tables are those that COPY and INSERT have counted. */
const keepsRowCounts = new Set(
	'CREATE ALTER COMMENT GRANT REVOKE SECURITY REFRESH ANALYZE SET RESET COPY INSERT DROP'.split(' '),
);

const keepsRowCountsToo = /^SELECT pg_catalog\.(?:setval|set_config|lo_\w+|lowrite)\(/;

/** Whether the rows in the tables are those that the server said it took. */
export class RowTrust {
	/** Something ran that may have changed rows in ways that nobody counted. */
	mayDiffer = false;

	private hasTriggers = false;

	/** To be told of each statement that is run. */
	note({ head, sql }: SqlStatement): void {
		if (!keepsRowCounts.has(head[0] ?? '') && !keepsRowCountsToo.test(sql.toString('latin1', 0, 60)))
			this.mayDiffer = true;
		// What fires when rows are loaded may do anything.
		if (/^CREATE (?:OR REPLACE )?(?:CONSTRAINT )?(?:TRIGGER|RULE|EVENT)/.test(head.join(' ')))
			this.hasTriggers = true;
		if (head[0] === 'COPY' && this.hasTriggers) this.mayDiffer = true;
	}
}
