import type { Reason } from './plan-types';
import type { Period, ZoneCalendar } from './zone-calendar';

/** What the reasons of one rule have in common. */
export interface PeriodRule {
	readonly name: string;
	readonly period: Period;
	readonly calendar: ZoneCalendar;
	/** What follows after the period, for the backup that is the n-th that the rule keeps. */
	readonly words: (used: number) => string;
}

/**
 * The newest backup of a period stays. Its sentence is made when somebody reads it: in a plan over 100,000 backups most are never
 * read, and all at once would take more memory than the plan itself.
 */
export class PeriodReason implements Reason {
	constructor(
		private readonly of: PeriodRule,
		private readonly local: number,
		private readonly used: number,
	) {}

	get rule(): string {
		return this.of.name;
	}

	get bucket(): string {
		return this.of.calendar.label(this.of.period, this.local);
	}

	get text(): string {
		return `newest of ${this.of.calendar.inWords(this.of.period, this.local)}${this.of.words(this.used)}`;
	}
}

/** One of the newest backups stays. */
export class LastReason implements Reason {
	readonly rule = 'last';

	constructor(
		private readonly used: number,
		private readonly limit: number,
	) {}

	get text(): string {
		return `number ${this.used} of the newest${this.limit > 0 ? ` ${this.limit}` : ''}`;
	}
}

/** Why no rule keeps a backup. */
export class DropReason implements Reason {
	readonly rule = 'none';

	constructor(
		private readonly calendar: ZoneCalendar,
		private readonly local: number,
		readonly text: string,
	) {}

	get bucket(): string {
		return this.calendar.label('day', this.local);
	}
}

/** A reason with more to say. */
export class NotedReason implements Reason {
	constructor(
		private readonly reason: Reason,
		private readonly note: string,
	) {}

	get rule(): string {
		return this.reason.rule;
	}

	get bucket(): string | undefined {
		return this.reason.bucket;
	}

	get text(): string {
		return this.reason.text + this.note;
	}
}
