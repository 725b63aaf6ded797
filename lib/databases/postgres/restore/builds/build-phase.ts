import type { SqlStatement } from '../sql/lexer';

import { buildStatement, mayWaitForBuilds } from './build-statement';
import type { ParallelBuild } from './parallel-build';

/** What building indexes needs of the connection that runs the script. */
export interface ScriptConnection {
	/** Makes visible to other connections what was done so far. */
	commit(): Promise<void>;
	/** Goes on in a transaction. */
	begin(): Promise<void>;
	/** Runs statements that were put off. */
	runAll(statements: readonly SqlStatement[]): Promise<void>;
	/** The statements that follow build something. */
	onBuilding(): void;
}

/** Takes those statements of a script that build indexes and constraints, and has several connections share them. */
export class BuildPhase {
	constructor(
		private readonly builds: ParallelBuild,
		private readonly script: ScriptConnection,
	) {}

	/** @returns false for a statement that is to be run in its turn, before which all that is built is done. */
	async take(statement: SqlStatement): Promise<boolean> {
		const { builds } = this;
		const build = buildStatement(statement);
		if (!build) {
			if (builds.kind !== undefined && mayWaitForBuilds(statement)) {
				builds.postpone(statement);
				return true;
			}
			await this.finish();
			return false;
		}
		if (builds.kind !== undefined && builds.kind !== build.kind) await this.finish();
		await this.script.commit();
		this.script.onBuilding();
		builds.add(statement, build);
		return true;
	}

	/** Takes what builds an index or a key, before the script comes to it. @returns false for another statement. */
	takeEarly(statement: SqlStatement): boolean {
		const build = buildStatement(statement);
		if (build?.kind !== 'index') return false;
		this.builds.add(statement, build);
		return true;
	}

	/** To be told when a connection has become free: what was taken early goes on. */
	goOn(): void {
		if (this.builds.kind === undefined) return;
		this.script.onBuilding();
		this.builds.start();
	}

	/** Waits until all is built. @throws what the first that failed threw. */
	async finish(): Promise<void> {
		const postponed = await this.builds.drain();
		await this.script.begin();
		await this.script.runAll(postponed);
	}
}
