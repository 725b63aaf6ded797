/** How deep a backup was checked. Each level includes the ones before it. */
export type VerificationLevel = 'stored' | 'readable' | 'complete';

export interface VerificationReport {
	level: VerificationLevel;
	/** Bytes read from where the backup lies. */
	bytes: number;
	seconds: number;
	/** What is now known to be true, one sentence each. */
	proved: string[];
}
