import type { PostgresRestoreOptions } from '../options';
import type { SqlStatement } from '../sql/lexer';

/** Whether a restore concerns more, or less, than all of a dump into an empty database. */
export function isPartial({ parts, intoSchema, content, ifNotEmpty }: PostgresRestoreOptions): boolean {
	return Boolean(parts ?? intoSchema) || (content ?? 'all') !== 'all' || ifNotEmpty === 'merge';
}

/** Rows, sequence values, and large objects with all that belongs to them: they have no definition without their content. */
export function isData({ head, sql }: Pick<SqlStatement, 'head' | 'sql'>): boolean {
	if (head[0] === 'COPY' || head[0] === 'INSERT') return true;
	const start = sql.toString('latin1', 0, 400);
	if (/^(?:ALTER|COMMENT ON|(?:GRANT|REVOKE) [^"']* ON) LARGE OBJECT /.test(start)) return true;
	if (/^SECURITY LABEL FOR .* ON LARGE OBJECT \d+ IS /.test(start)) return true;
	return /^SELECT pg_catalog\.(?:setval|lo_\w+|lowrite)\(/.test(start);
}
