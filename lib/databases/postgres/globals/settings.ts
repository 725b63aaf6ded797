import { quoteIdentifier, quoteLiteral } from '../identifiers';

/** Settings whose value is a list of names: quoted as a whole, it would be taken for one name. */
const lists = new Set([
	'local_preload_libraries',
	'search_path',
	'session_preload_libraries',
	'shared_preload_libraries',
	'temp_tablespaces',
	'unix_socket_directories',
]);

/** `ALTER ROLE x SET name TO value;` @param setting as the catalog has it: `name=value`. */
export function settingStatement(alter: string, setting: string): string {
	const at = setting.indexOf('=');
	const [name, value] = [setting.slice(0, at), setting.slice(at + 1)];
	const text = lists.has(name.toLowerCase())
		? namesIn(value).map(quoteLiteral).join(', ')
		: quoteLiteral(value);
	// The names of extensions' settings have two parts.
	return `${alter} SET ${name.split('.').map(quoteIdentifier).join('.')} TO ${text || "''"};\n`;
}

/** The names in `a, "B, c"`. */
function namesIn(list: string): string[] {
	return [...list.matchAll(/"((?:[^"]|"")*)"|[^\s,"][^,]*/g)].map(([whole, quoted]) =>
		quoted === undefined ? whole.trim() : quoted.replaceAll('""', '"'),
	);
}
