/** A moment, and what the Schedule Trigger has to say for it. */
export interface Schedule {
	at: Date;
	/** The node's parameter `rule`. */
	rule: { interval: Array<{ field: string; expression: string }> };
}

/** Has the schedule itself start a workflow, only sooner than at two o'clock. */
export function scheduleIn(seconds: number): Schedule {
	const at = new Date(Math.ceil(Date.now() / 1000) * 1000 + seconds * 1000);
	const expression = `${at.getUTCSeconds()} ${at.getUTCMinutes()} ${at.getUTCHours()} * * *`;
	return { at, rule: { interval: [{ field: 'cronExpression', expression }] } };
}
