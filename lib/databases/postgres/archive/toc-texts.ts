import { isAscii, isUtf8 } from 'node:buffer';

import type { Cursor } from './byte-queue';
import type { ArchiveToc } from './types';

/** Keeps texts byte for byte until all are known, for only then it is known whether all are UTF-8. */
export class Texts {
	private allAscii = true;

	private allUtf8 = true;

	read(cursor: Cursor): string | null {
		const bytes = cursor.text();
		if (bytes === null) return null;
		if (!isAscii(bytes)) {
			this.allAscii = false;
			this.allUtf8 &&= isUtf8(bytes);
		}
		return bytes.toString('latin1');
	}

	decode(toc: ArchiveToc): ArchiveToc {
		if (!this.allUtf8) return toc;
		if (this.allAscii) return { ...toc, textEncoding: 'utf8' };
		const decode = <T extends string | null>(text: T): T =>
			(text === null ? null : Buffer.from(text, 'latin1').toString('utf8')) as T;
		for (const entry of toc.entries) {
			entry.tag = decode(entry.tag);
			entry.desc = decode(entry.desc);
			entry.defn = decode(entry.defn);
			entry.dropStmt = decode(entry.dropStmt);
			entry.copyStmt = decode(entry.copyStmt);
			entry.namespace = decode(entry.namespace);
			entry.tablespace = decode(entry.tablespace);
			entry.tableam = decode(entry.tableam);
			entry.owner = decode(entry.owner);
		}
		return {
			...toc,
			textEncoding: 'utf8',
			database: decode(toc.database),
			serverVersion: decode(toc.serverVersion),
			dumpVersion: decode(toc.dumpVersion),
		};
	}
}
