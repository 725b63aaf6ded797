import type { TocEntry } from '../../archive/types';
import { quoteIdentifier } from '../../identifiers';

import { qualifiedName } from './owner-statement';

/** Where the next object goes: tablespace, access method and, for archives older than PostgreSQL 10.3, schema. */
export class Placement {
	private tablespace: string | undefined;

	private accessMethod: string | undefined;

	private schema: string | undefined;

	constructor(private readonly setsSchema: boolean) {}

	/** Whether an index or a key goes where the last entry went, and so needs no setting. */
	suits({ namespace, tablespace }: TocEntry): boolean {
		const isInSchema = !this.setsSchema || !namespace || namespace === this.schema;
		return isInSchema && (tablespace ?? '') === this.tablespace;
	}

	before(entry: TocEntry): string {
		const statements: string[] = [];
		if (this.setsSchema && entry.namespace && entry.namespace !== this.schema) {
			this.schema = entry.namespace;
			statements.push(`SET search_path = ${quoteIdentifier(entry.namespace)}, pg_catalog;\n`);
		}
		const tablespace = entry.tablespace ?? '';
		if (tablespace !== this.tablespace) {
			this.tablespace = tablespace;
			statements.push(
				`SET default_tablespace = ${tablespace === '' ? "''" : quoteIdentifier(tablespace)};\n`,
			);
		}
		// A partitioned table has no storage: its access method is set behind it.
		if (entry.tableam && entry.relkind !== 'p' && entry.tableam !== this.accessMethod) {
			this.accessMethod = entry.tableam;
			statements.push(`SET default_table_access_method = ${quoteIdentifier(entry.tableam)};\n`);
		}
		return statements.join('');
	}

	behind(entry: TocEntry): string {
		if (!entry.tableam || entry.relkind !== 'p') return '';
		return `ALTER TABLE ${qualifiedName(entry)} SET ACCESS METHOD ${quoteIdentifier(entry.tableam)};\n`;
	}
}
