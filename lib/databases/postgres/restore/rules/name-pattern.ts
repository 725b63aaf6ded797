/** A name in SQL text, quoted or not, as the source of a RegExp. The text is Latin-1, a byte a character. */
export const NAME = String.raw`(?:"(?:[^"]|"")*"|[A-Za-z_\x80-\xff][\w$\x80-\xff]*)`;
