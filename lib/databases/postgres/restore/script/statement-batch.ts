import { serverErrorOf } from '../errors';
import type { SqlStatement } from '../sql/lexer';

import { BatchError } from './wire';

/** Statements go to the server in messages of at most this many. Large enough to hide the round trip, small enough to hold. */
const BATCH_BYTES = 65_536;
const BATCH_STATEMENTS = 500;

/** Gathers statements, and has one batch of them run while the next one is gathered. */
export class StatementBatch {
	private statements: SqlStatement[] = [];

	private bytes = 0;

	private underWay: Promise<void> | undefined;

	constructor(private readonly run: (statements: readonly SqlStatement[]) => Promise<void>) {}

	add(statement: SqlStatement): void {
		this.statements.push(statement);
		this.bytes += statement.sql.length;
	}

	get isFull(): boolean {
		return this.bytes >= BATCH_BYTES || this.statements.length >= BATCH_STATEMENTS;
	}

	/** Hands over what was gathered, once the batch before has been run. @throws what that threw. */
	async flush(): Promise<void> {
		await this.settle();
		const { statements } = this;
		if (statements.length === 0) return;
		this.statements = [];
		this.bytes = 0;
		this.underWay = this.run(statements);
		// It is awaited by the next `settle`; until then its failure is not unhandled.
		this.underWay.catch(() => undefined);
	}

	/** Waits for the batch under way. @throws what it threw. */
	async settle(): Promise<void> {
		const { underWay } = this;
		this.underWay = undefined;
		await underWay;
	}

	/** Hands over what was gathered, and waits until it has been run. */
	async finish(): Promise<void> {
		await this.flush();
		await this.settle();
	}
}

/** Which statement of a batch failed: behind those completed, or, if none could be parsed, the one at the error's position. */
export function failedOf(batch: readonly SqlStatement[], error: unknown): SqlStatement {
	const completed = error instanceof BatchError ? error.completed : 0;
	const position = Number((serverErrorOf(error) as { position?: string } | undefined)?.position ?? 0);
	if (completed > 0 || position === 0) return batch[completed] ?? batch[0]!;
	let characters = 0;
	for (const statement of batch) {
		characters += charactersIn(statement.sql) + 2; // what joins them
		if (position <= characters) return statement;
	}
	return batch[0]!;
}

function charactersIn(utf8: Buffer): number {
	let count = 0;
	for (const byte of utf8) if ((byte & 0xc0) !== 0x80) count += 1;
	return count;
}
