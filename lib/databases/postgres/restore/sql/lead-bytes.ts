/**
 * Tells bytes whose next one belongs to the same character, whatever it looks like: in the encodings that only a client may
 * use (SJIS, BIG5, GBK, UHC, JOHAB, GB18030) a second byte may be that of a backslash, say.
 *
 * @see https://www.postgresql.org/docs/current/multibyte.html
 */
export class LeadBytes {
	private secondBytes: 'none' | 'all' | 'sjis' = 'none';

	/** The client encoding, by any of its names. */
	set encoding(name: string) {
		const plain = name.toUpperCase().replace(/[^A-Z0-9]/g, '');
		if (/^(SJIS|SHIFTJIS|MSKANJI|WIN932|WINDOWS932|SHIFTJIS2004)$/.test(plain)) this.secondBytes = 'sjis';
		else if (
			/^(BIG5|WIN950|WINDOWS950|GBK|WIN936|WINDOWS936|UHC|WIN949|WINDOWS949|JOHAB|GB18030)$/.test(plain)
		)
			this.secondBytes = 'all';
		else this.secondBytes = 'none';
	}

	has(byte: number): boolean {
		if (byte < 0x80 || this.secondBytes === 'none') return false;
		return this.secondBytes === 'all' || byte < 0xa1 || byte > 0xdf;
	}
}
