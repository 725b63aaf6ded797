import { Readable } from 'node:stream';

import type { Client } from 'pg';

import { codeOf, LifeboatError, messageOf } from '../../../errors';
import type { RestoreCheck, SqlCheck } from '../../scratch';
import { postgresError } from '../errors';
import { SqlLexer } from './sql/lexer';

const DEFAULT_TIMEOUT_MS = 60_000;

/** What says nothing of the database that was asked. */
const noAnswer = new Set(['CONNECTION_LOST', 'SCRATCH_LOST', 'SERVER_DISK_FULL', 'SERVER_OUT_OF_MEMORY']);

/** How much longer than the server's own time-out is waited for one that has none, or doesn't answer. */
const GRACE_MS = 2_000;

/**
 * Asks the operator's questions, each in a read-only transaction that is rolled back.
 *
 * @param giveUp ends the connection of a server that doesn't answer in time. What comes after fails then, too.
 * @throws LifeboatError `CONNECTION_LOST`, `SCRATCH_LOST` ... where the place broke: that is no answer. The signal's reason when it aborts.
 */
export async function runSqlChecks(
	client: Client,
	checks: readonly SqlCheck[],
	{
		timeoutMs = DEFAULT_TIMEOUT_MS,
		giveUp,
		signal,
	}: { timeoutMs?: number | undefined; giveUp: () => void; signal?: AbortSignal | undefined },
): Promise<RestoreCheck[]> {
	const results: RestoreCheck[] = [];
	let isGivenUp = false;
	for (const check of checks) {
		if (isGivenUp) {
			results.push({ name: check.name, passed: false, detail: 'not asked: the one before took too long' });
			continue;
		}
		const timer = setTimeout(() => {
			isGivenUp = true;
			giveUp();
		}, timeoutMs + GRACE_MS);
		try {
			results.push({ name: check.name, ...(await runOne(client, check, timeoutMs)) });
		} catch (error) {
			signal?.throwIfAborted();
			if (!isGivenUp && noAnswer.has(codeOf(error) ?? '')) throw error;
			const tookTooLong = `no answer within ${timeoutMs / 1000} s`;
			results.push({ name: check.name, passed: false, detail: isGivenUp ? tookTooLong : messageOf(error) });
		} finally {
			clearTimeout(timer);
		}
	}
	return results;
}

async function runOne(
	client: Client,
	check: SqlCheck,
	timeoutMs: number,
): Promise<Omit<RestoreCheck, 'name'>> {
	const sql = await oneSelect(check);
	await client.query('BEGIN READ ONLY');
	try {
		await client.query(`SET LOCAL statement_timeout = ${Math.ceil(timeoutMs)}`);
		await client.query('SET LOCAL search_path = public, pg_catalog');
		// A cursor gives as few rows as are needed, and takes nothing that writes.
		await client.query(`DECLARE restore_check NO SCROLL CURSOR FOR ${sql}`);
		const { rows } = await client.query<(string | null)[]>({
			text: 'FETCH 2 FROM restore_check',
			rowMode: 'array',
		});
		return judge(check, rows);
	} catch (error) {
		throw error instanceof LifeboatError ? error : postgresError(error, `asking "${check.name}"`);
	} finally {
		await client.query('ROLLBACK').catch(() => undefined);
	}
}

/** @throws LifeboatError `INVALID_OPTION` unless the text is one statement, so that nothing can follow that ends the transaction. */
async function oneSelect({ name, sql }: SqlCheck): Promise<string> {
	const invalid = (problem: string) =>
		new LifeboatError('INVALID_OPTION', `The SQL of the check "${name}" ${problem}`, {
			hint: 'Write one SELECT for each check',
		});
	const lexer = new SqlLexer(Readable.from([Buffer.from(`${sql}\n;\n`)]));
	let found: string | undefined;
	try {
		for (let item = await lexer.next(); item; item = await lexer.next()) {
			if (item.kind === 'meta-command' || item.hasCopyData || found !== undefined)
				throw invalid('is not one SELECT');
			found = item.sql.toString('utf8');
		}
	} catch (error) {
		throw error instanceof LifeboatError && error.code === 'INVALID_OPTION'
			? error
			: invalid('ends inside a string, a quoted name or a comment');
	}
	if (found === undefined) throw invalid('is empty');
	return found;
}

/** What an answer means. Values are texts, as the server writes them. */
export function judge(
	{ expect, value: expected }: SqlCheck,
	rows: readonly (string | null)[][],
): Omit<RestoreCheck, 'name'> {
	if (expect === 'rows' || expect === 'noRows') {
		const hasRows = rows.length > 0;
		return {
			passed: hasRows === (expect === 'rows'),
			detail: hasRows ? 'there are rows' : 'there are no rows',
		};
	}
	const [row] = rows;
	if (rows.length !== 1 || row!.length !== 1) {
		const many = rows.length > 1 ? 'several rows' : `${row?.length ?? 0} values`;
		return { passed: false, detail: `one value was expected, ${many} came` };
	}
	const value = row![0] ?? null;
	const shown = value === null ? 'it is null' : `it is ${value.slice(0, 100)}`;
	switch (expect) {
		case 'true':
			return { passed: value === 't', detail: value === 't' ? 'it is true' : shown };
		case 'positive':
			return { passed: value !== null && value.trim() !== '' && Number(value) > 0, detail: shown };
		case 'equals':
			return { passed: value === expected, detail: value === expected ? shown : `${shown}, not ${expected}` };
	}
}
