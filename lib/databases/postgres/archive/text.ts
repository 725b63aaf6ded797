import type { ArchiveToc } from './types';

/** PostgreSQL's encodings by the names that TextDecoder knows. SQL_ASCII says nothing of the bytes; MULE_INTERNAL has no decoder. */
const decoderNames: Readonly<Record<string, string>> = {
	...{ UTF8: 'utf-8', EUC_JP: 'euc-jp', EUC_JIS_2004: 'euc-jp', EUC_KR: 'euc-kr', EUC_CN: 'gbk' },
	...{ KOI8R: 'koi8-r', KOI8U: 'koi8-u', BIG5: 'big5', GBK: 'gbk', GB18030: 'gb18030' },
	...{ SJIS: 'shift_jis', SHIFT_JIS_2004: 'shift_jis', UHC: 'euc-kr' },
	...{
		WIN866: 'ibm866',
		WIN874: 'windows-874',
		LATIN1: 'latin1',
		LATIN2: 'iso-8859-2',
		LATIN3: 'iso-8859-3',
	},
	...{ LATIN4: 'iso-8859-4', LATIN5: 'iso-8859-9', LATIN6: 'iso-8859-10', LATIN7: 'iso-8859-13' },
	...{ LATIN8: 'iso-8859-14', LATIN9: 'iso-8859-15', LATIN10: 'iso-8859-16' },
	...{
		ISO_8859_5: 'iso-8859-5',
		ISO_8859_6: 'iso-8859-6',
		ISO_8859_7: 'iso-8859-7',
		ISO_8859_8: 'iso-8859-8',
	},
};

/** What the archive's first entries say of the session that replays it. */
export interface ArchiveSettings {
	/** `client_encoding` that texts and rows are in, as PostgreSQL names it. */
	encoding: string;
	standardConformingStrings: boolean;
	/** The statement that sets the search_path, if the archive has one. */
	searchPath: string | undefined;
}

/** Reads the entries ENCODING, STDSTRINGS and SEARCHPATH, which are no objects. */
export function archiveSettings(toc: ArchiveToc): ArchiveSettings {
	const defn = (desc: string) => toc.entries.find((entry) => entry.desc === desc)?.defn ?? undefined;
	return {
		encoding: /'([^']*)'/.exec(defn('ENCODING') ?? '')?.[1] ?? 'SQL_ASCII',
		standardConformingStrings: /'on'/.test(defn('STDSTRINGS') ?? ''),
		searchPath: defn('SEARCHPATH'),
	};
}

/** Makes a function that turns texts of this TOC into what a person reads, whatever the database's encoding. */
export function textDisplay(toc: ArchiveToc): (text: string) => string {
	if (toc.textEncoding === 'utf8') return (text) => text;
	const { encoding } = archiveSettings(toc);
	const name = decoderNames[encoding] ?? encoding.toLowerCase().replace(/^win(125\d)$/, 'windows-$1');
	try {
		const decoder = new TextDecoder(name);
		return (text) => decoder.decode(Buffer.from(text, 'latin1'));
	} catch (error) {
		// An encoding that only PostgreSQL knows: its bytes are shown as they are.
		if (error instanceof RangeError) return (text) => text;
		throw error;
	}
}

/** One text of the TOC as a person reads it; for many, `textDisplay` is faster. */
export function displayText(toc: ArchiveToc, text: string): string {
	return textDisplay(toc)(text);
}
