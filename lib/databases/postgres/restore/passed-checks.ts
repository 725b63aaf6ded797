import { LifeboatError } from '../../../errors';
import type { EngineContext } from '../../engine';
import type { RestoreCheck } from '../../scratch';
import { connectPostgres, dropConnection, postgresError, type PostgresConnection } from '../connection';

import type { PostgresRestoreOptions } from './options';
import { runSqlChecks } from './sql-checks';

/** @throws LifeboatError `INVALID_OPTION` for checks of a database that is in use, where they could not come before everybody else. */
export function requireCheckable({ target, sqlChecks = [] }: PostgresRestoreOptions): void {
	if (sqlChecks.length === 0 || (target && target.kind !== 'existing')) return;
	throw new LifeboatError('INVALID_OPTION', 'SQL checks need a database that nobody uses yet', {
		hint: 'Restore into a new database, or swap; or remove the checks',
	});
}

/**
 * Asks a restored database the operator's questions.
 *
 * @param replaces how messages call the database.
 * @returns undefined where there are none. @throws LifeboatError `CHECK_FAILED` unless all answers are as they must be.
 */
export async function passedChecks(
	restored: PostgresConnection,
	replaces: string,
	{ target, sqlChecks = [], checkTimeoutMs }: PostgresRestoreOptions,
	{ signal, onProgress }: EngineContext,
): Promise<RestoreCheck[] | undefined> {
	if (sqlChecks.length === 0) return undefined;
	onProgress?.({ step: 'asking the SQL checks' });
	const applicationName = 'lifeboat restore';
	const client = await connectPostgres(restored, { applicationName, ...(signal && { signal }) });
	let results: RestoreCheck[];
	try {
		results = await runSqlChecks(client, sqlChecks, {
			timeoutMs: checkTimeoutMs,
			giveUp: () => dropConnection(client),
			signal,
		});
		signal?.throwIfAborted();
	} catch (error) {
		throw postgresError(
			signal?.aborted ? signal.reason : error,
			`checking the restored database ${replaces}`,
		);
	} finally {
		await client.end();
	}
	const failed = results.filter(({ passed }) => !passed);
	if (failed.length === 0) return results;
	const listed = failed.map(({ name, detail }) => `"${name}"${detail === undefined ? '' : ` (${detail})`}`);
	const outcome = target?.kind === 'swap' ? `${replaces} is as it was before` : `${replaces} was not kept`;
	throw new LifeboatError(
		'CHECK_FAILED',
		`The restored database did not pass the SQL checks: ${listed.join('; ')}. ${outcome}`,
		{
			hint: 'Look into the backup with Restore Test or by restoring it without the checks into a new database; or restore another one',
		},
	);
}
