const ENTITIES: Record<string, string> = {
	'&': '&amp;',
	'<': '&lt;',
	'>': '&gt;',
	'"': '&quot;',
	"'": '&apos;',
};

/** Text as it may stand in an element or an attribute. What XML 1.0 has no place for (section 2.2) becomes U+FFFD. */
export function escapeXml(text: string): string {
	return text
		.replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
		.replaceAll(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** A text that fits a line: cut after so many characters, with an ellipsis. */
export function shorten(text: string, characters: number): string {
	const all = [...text];
	return all.length > characters
		? `${all
				.slice(0, characters - 1)
				.join('')
				.trimEnd()}…`
		: text;
}
