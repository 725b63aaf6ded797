import type { Client } from 'pg';

import { codeOf } from '../../../../errors';

import { serverErrorOf } from '../errors';

import { runRaw } from './wire';

/** What a CREATE answers whose object is there: table, object, function, schema. */
export const OBJECT_EXISTS = /^(?:42P07|42710|42723|42P06)$/;

/** What a DROP answers whose object is not there: table, object, function, schema, column. */
export const OBJECT_MISSING = /^(?:42P01|42704|42883|3F000|42703)$/;

/**
 * Runs a statement of a transaction that goes on if it fails in one way.
 *
 * @param tolerated the codes of the server's errors after which it is as if the statement was not there.
 * @returns the server's error, if it failed so. @throws BatchError for other errors: the transaction is then lost.
 */
export async function runTolerant(
	client: Client,
	sql: Buffer,
	tolerated: RegExp,
): Promise<Error | undefined> {
	const run = async (text: string) => runRaw(client, [Buffer.from(text)]);
	let refused: Error | undefined;
	await run('SAVEPOINT lifeboat');
	try {
		await runRaw(client, [sql]);
	} catch (error) {
		refused = serverErrorOf(error);
		if (!refused || !tolerated.test(codeOf(refused) ?? '')) throw error;
		await run('ROLLBACK TO SAVEPOINT lifeboat');
	}
	await run('RELEASE SAVEPOINT lifeboat');
	return refused;
}
