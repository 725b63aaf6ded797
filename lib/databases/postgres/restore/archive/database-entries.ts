import type { ArchiveToc } from '../../archive/types';
import { quoteIdentifier } from '../../identifiers';

/** Statements that give a database what the archive's had as a whole: settings, comment, labels, owner and privileges. */
export function databasePropertiesOf({ entries }: ArchiveToc): string {
	return entries
		.flatMap(({ desc, tag, defn, owner }) => {
			if (desc === 'DATABASE')
				return owner ? [`ALTER DATABASE ${quoteIdentifier(tag)} OWNER TO ${quoteIdentifier(owner)};\n`] : [];
			const isOfDatabase =
				desc === 'DATABASE PROPERTIES' ||
				(/^(?:ACL|COMMENT|SECURITY LABEL)$/.test(desc) && tag.startsWith('DATABASE '));
			return isOfDatabase ? [`${defn ?? ''}\n`] : [];
		})
		.join('');
}
