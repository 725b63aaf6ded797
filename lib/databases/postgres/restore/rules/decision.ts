/** What to do with a statement of a script. */
export type Decision =
	/** `alone`: the next statement may only be read once this one has run. `drop`: it may fail for want of its object. */
	{ action: 'run' | 'alone' | 'drop' | 'copy'; sql: Buffer } | { action: 'skip'; warning?: string };
