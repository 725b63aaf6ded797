/** The bytes that mean something to a lexer of SQL text, and those that make up words. */
export const TAB = 0x09;
export const NEWLINE = 0x0a;
export const RETURN = 0x0d;
export const SPACE = 0x20;
export const DOUBLE_QUOTE = 0x22;
export const DOLLAR = 0x24;
export const QUOTE = 0x27;
export const OPEN = 0x28;
export const CLOSE = 0x29;
export const STAR = 0x2a;
export const DASH = 0x2d;
export const DOT = 0x2e;
export const SLASH = 0x2f;
export const SEMICOLON = 0x3b;
export const BACKSLASH = 0x5c;

/** 1: starts a word; 2: only continues one. `$` continues a word too, but not a dollar quote's tag. */
export const wordBytes = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
	const isLetter = (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a && byte < 0x80;
	if (isLetter || byte === 0x5f || byte >= 0x80) wordBytes[byte] = 1;
	else if (byte >= 0x30 && byte <= 0x39) wordBytes[byte] = 2;
}
