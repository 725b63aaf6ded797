import type { ScriptRunner } from '../script/runner';
import type { ScriptResult } from '../script/script';
import { SqlLexer } from '../sql/lexer';
import type { Connections } from '../builds/connections';

import type { ArchiveSource, ScriptPart } from './script';
import { loadTables, tablesToLoad, type LoadTables } from './tables';

/** With several connections, the rows of tables are loaded by those; all else by the first. */
export async function runArchive(
	runner: ScriptRunner,
	source: ArchiveSource,
	job: Pick<LoadTables, 'open' | 'loaded' | 'context'> & { connections: Connections | undefined },
): Promise<ScriptResult & { bytes?: number }> {
	const part = (name: ScriptPart, ...done: ReadonlySet<number>[]) => ({
		lexer: new SqlLexer(source.script(name, ...done)),
		takeRows: () => source.takeRows(),
		hasLines: false,
	});
	const { connections } = job;
	const tables = connections ? tablesToLoad(source.selected) : [];
	if (!connections || tables.length < 2) return await runner.run(part('all'));
	await runner.run(part('before rows'));
	await runner.commit();
	const early = source.earlyBuilds();
	const built = new Set<number>();
	const bytes = await loadTables(tables, {
		...job,
		connections,
		selected: source.selected,
		failureOf: (error, statement) => runner.failureOf(error, statement),
		onLoaded: async (table) => {
			for (const entry of early.loaded(table)) {
				const text = source.statementsOf(entry);
				if (text && (await runner.buildEarly(text))) built.add(entry.dumpId);
			}
		},
		onFree: () => runner.goOnBuilding(),
	});
	await runner.begin();
	const result = await runner.run(part('behind', new Set(tables.map(({ dumpId }) => dumpId)), built));
	return { ...result, bytes: Math.max(bytes, source.position) };
}
