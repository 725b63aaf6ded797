import type { SqlStatement } from '../sql/lexer';

/** What pg_dump's `--clean` writes to remove what is there: in an empty database there is nothing to remove. */
export function isDrop({ head, sql }: SqlStatement): boolean {
	if (head[0] === 'DROP') return true;
	const text = sql.toString('latin1', 0, 4096);
	if (head[0] === 'ALTER') {
		return /\s(?:DROP\s+(?:CONSTRAINT|DEFAULT|IDENTITY)|ALTER\s+COLUMN\s+.*\sDROP\s|DETACH\s+PARTITION)/is.test(
			text,
		);
	}
	// A view with placeholders takes the place of one that others depend on, so that it can be dropped.
	if (head[0] === 'CREATE') return /^CREATE OR REPLACE VIEW .* AS\s+SELECT\s+NULL::/s.test(text);
	return /^SELECT pg_catalog\.lo_unlink\(/.test(text);
}
