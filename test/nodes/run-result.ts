import type {
	ExecutionError,
	ExecutionStatus,
	IDataObject,
	INodeExecutionData,
	IRun,
	NodeExecutionHint,
} from 'n8n-workflow';

/** A failure as n8n's editor shows it. */
export interface RunError {
	message: string;
	description: string | undefined;
	itemIndex: number | undefined;
	/** Name of the error's class. */
	name: string;
	/** Everything that n8n would keep of it: what must not hold a secret. */
	text: string;
	error: ExecutionError;
}

/** What one node did. When it ran more than once, its last run. */
export interface NodeRun {
	status: ExecutionStatus;
	/** Items of the first output. */
	items: INodeExecutionData[];
	/** Items of each output. */
	outputs: INodeExecutionData[][];
	error: RunError | undefined;
	hints: NodeExecutionHint[];
}

/** How an execution ended. */
export class RunResult {
	constructor(
		readonly executionId: string,
		/** As n8n would store it. */
		readonly run: IRun,
		/** What nodes sent to the editor's console (manual runs). */
		readonly messages: unknown[],
		private readonly resumeFrom: (waiting: IRun) => Promise<IRun>,
	) {}

	/** `success`, `error`, `canceled` or `waiting`. */
	get status(): ExecutionStatus {
		return this.run.status;
	}

	/** What ended the execution, if something did. */
	get error(): RunError | undefined {
		return describe(this.run.data.resultData.error);
	}

	/** @throws when the node did not run. */
	node(name: string): NodeRun {
		const data = this.run.data.resultData.runData[name]?.at(-1);
		if (!data)
			throw new Error(
				`Node ${name} did not run; the execution ended as ${this.status}: ${this.error?.message}`,
			);
		const outputs = (data.data?.main ?? []).map((items) => items ?? []);
		return {
			status: data.executionStatus ?? 'success',
			items: outputs[0] ?? [],
			outputs,
			error: describe(data.error),
			hints: data.hints ?? [],
		};
	}

	/** Whether the node ran at all. */
	ran(name: string): boolean {
		return name in this.run.data.resultData.runData;
	}

	/** The JSON of the items of a node's first output. @throws the node's error, so that a test shows it. */
	json(name: string): IDataObject[] {
		const { error, items } = this.node(name);
		if (error) throw error.error;
		return items.map((item) => item.json);
	}

	/** @throws what went wrong, with its description, unless the execution succeeded. */
	assertSuccess(): this {
		if (this.status !== 'success') {
			throw new Error(`${this.status}: ${this.error?.message} ${this.error?.description ?? ''}`, {
				cause: this.error?.error,
			});
		}
		return this;
	}

	/** Goes on with an execution that waits, as n8n does when its time has come. */
	async resume(): Promise<RunResult> {
		return new RunResult(this.executionId, await this.resumeFrom(this.run), this.messages, this.resumeFrom);
	}
}

function describe(error: ExecutionError | undefined): RunError | undefined {
	if (!error) return undefined;
	const context = 'context' in error ? (error.context as IDataObject | undefined) : undefined;
	return {
		message: error.message,
		description: typeof error.description === 'string' ? error.description : undefined,
		itemIndex: typeof context?.itemIndex === 'number' ? context.itemIndex : undefined,
		name: error.name,
		text: JSON.stringify({ ...error, message: error.message, stack: error.stack }),
		error,
	};
}
