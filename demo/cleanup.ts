type Step = () => Promise<unknown>;

/** What has to be undone at the end, the latest first, however the end comes. */
export class Cleanup {
	private readonly steps: Step[] = [];

	private running: Promise<void> | undefined;

	/** Undone at once if the end has come already. */
	async add(step: Step): Promise<void> {
		if (this.running) await step();
		else this.steps.push(step);
	}

	/** Undoes everything once; a step that fails does not keep the others from running. @throws what failed, together. */
	run(): Promise<void> {
		return (this.running ??= this.undo());
	}

	private async undo(): Promise<void> {
		const failures: unknown[] = [];
		for (let step = this.steps.pop(); step; step = this.steps.pop()) {
			try {
				await step();
			} catch (error) {
				failures.push(error);
			}
		}
		if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('; '));
	}
}
