import type { Client } from 'pg';

import type { EngineContext } from '../../../engine';
import { connectPostgres, dropConnection, type PostgresConnection } from '../../connection';
import type { PostgresRestoreOptions } from '../options';
import { runRaw } from '../script/wire';
import { prepareSession } from '../session';

/**
 * Connections of a restore besides its first, each prepared with what the script has set so far. They see only what was
 * committed: a restore that uses them is none of one transaction.
 */
export class Connections {
	private readonly idle: { client: Client; applied: number }[] = [];

	private readonly all = new Set<Client>();

	private isClosed = false;

	/** How many are in use, or will be, by others than those who build. */
	reserved = 0;

	/** Statements that change the session, in the order in which the script has them. */
	private readonly settings: Buffer[] = [];

	constructor(
		/** How many may be open. */
		readonly limit: number,
		private readonly open: () => Promise<Client>,
		private readonly apply: (client: Client, statements: readonly Buffer[]) => Promise<unknown>,
	) {}

	/** To be told of each statement that sets something for the rest of the session. */
	remember(setting: Buffer): void {
		this.settings.push(setting);
	}

	/** @throws whatever `work` throws; always once they are closed. */
	async use<Result>(work: (client: Client) => Promise<Result>): Promise<Result> {
		const session = this.idle.pop() ?? { client: await this.open(), applied: 0 };
		const { client } = session;
		if (this.isClosed) {
			dropConnection(client);
			throw new Error('The connections of the restore are closed');
		}
		this.all.add(client);
		if (session.applied < this.settings.length) {
			await this.apply(client, this.settings.slice(session.applied));
			session.applied = this.settings.length;
		}
		const result = await work(client);
		this.idle.push(session);
		return result;
	}

	/** Ends them. What still runs on one is cancelled. */
	async close(): Promise<void> {
		this.isClosed = true;
		const idle = new Set(this.idle.map(({ client }) => client));
		for (const client of this.all) {
			if (idle.has(client)) await client.end().catch(() => undefined);
			else dropConnection(client);
		}
		this.all.clear();
	}
}

/** Connections besides the first, into the database that is being filled. */
export function connectionsFor(
	connection: PostgresConnection,
	limit: number,
	{ lockTimeoutMs }: PostgresRestoreOptions,
	{ signal }: EngineContext,
): Connections {
	const open = async () => {
		const client = await connectPostgres(connection, {
			...(signal && { signal }),
			applicationName: 'lifeboat restore',
		});
		await prepareSession(client, {
			connections: limit,
			...(lockTimeoutMs !== undefined && { lockTimeoutMs }),
		});
		// The last commit of the restore waits until all before it is on disk.
		await client.query('SET synchronous_commit = off');
		return client;
	};
	return new Connections(limit, open, runRaw);
}
