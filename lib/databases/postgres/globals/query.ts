/** Asks the server, all of it in one transaction. Values are text, or null. */
export type Query = <Column extends string>(sql: string) => Promise<Record<Column, string>[]>;

/** What of a server is asked for, and how. */
export interface GlobalsSource {
	query: Query;
	/** The server's major version. */
	major: number;
	/** Whether roles' passwords (their hashes) are read. */
	passwords: boolean;
}
