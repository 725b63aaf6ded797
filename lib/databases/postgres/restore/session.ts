import type { Client } from 'pg';

/** Memory for building indexes, of all connections of a restore together, in KiB. */
const BUILD_MEMORY = 262_144;

/**
 * Reads the server's settings, and gives a session what a restore needs: what the role or the database may have set would
 * break off a long restore, or change what the script means.
 *
 * @param connections how many share the memory for building indexes.
 * @returns the settings as they were.
 */
export async function prepareSession(
	client: Client,
	{ lockTimeoutMs = 60_000, connections = 1 }: { lockTimeoutMs?: number; connections?: number },
): Promise<Map<string, string>> {
	const { rows } = await client.query<{ name: string; setting: string }>(
		'SELECT name, setting FROM pg_catalog.pg_settings',
	);
	const settings = new Map(rows.map(({ name, setting }) => [name, setting]));
	const memory = Math.max(
		Number(settings.get('maintenance_work_mem')),
		Math.floor(BUILD_MEMORY / connections),
	);
	const wanted: Record<string, string> = {
		statement_timeout: '0',
		idle_in_transaction_session_timeout: '0',
		idle_session_timeout: '0',
		transaction_timeout: '0',
		lock_timeout: String(lockTimeoutMs),
		client_min_messages: 'warning',
		standard_conforming_strings: 'on',
		// Otherwise NULL in an array would come back as the text "NULL".
		array_nulls: 'on',
		default_transaction_read_only: 'off',
		maintenance_work_mem: String(memory),
	};
	const known = Object.entries(wanted).filter(([name]) => settings.has(name));
	await client.query(known.map(([name, value]) => `SET ${name} = ${value}`).join(';'));
	return settings;
}
