import { IANAZone } from 'luxon';
import { z } from 'zod/v4';

import { LifeboatError, messageOf } from '../errors';
import { parseDuration } from './duration';

/** How many to keep. As in restic, 0 switches a rule off and -1 keeps all. */
const count = z.number().int().min(-1).max(1_000_000).optional();

const duration = z
	.string()
	.superRefine((text, context) => {
		try {
			parseDuration(text);
		} catch (error) {
			context.addIssue({ code: 'custom', message: messageOf(error) });
		}
	})
	.optional();

/** Unknown fields are refused: a misspelt rule must not pass for one that was never set. */
const schema = z.strictObject({
	/** The newest N. */
	keepLast: count,
	/** The newest of each of the last N hours that have a backup; the following rules likewise. */
	keepHourly: count,
	keepDaily: count,
	/** ISO weeks. */
	keepWeekly: count,
	keepMonthly: count,
	keepYearly: count,
	/** Everything newer than this, counted back from the newest backup. In restic's notation: `30d`, `1y6m`, `12h`. */
	keepWithin: duration,
	/** The newest of each hour within this duration; the following rules likewise. */
	keepWithinHourly: duration,
	keepWithinDaily: duration,
	keepWithinWeekly: duration,
	keepWithinMonthly: duration,
	keepWithinYearly: duration,
	/** Everything that bears one of these tags; `a,b` stands for both together. */
	keepTags: z.array(z.string().trim().min(1)).optional(),
	/** Everything of the newest backup's day and of the N days before it, whole days in the policy's zone. */
	keepDays: z.number().int().min(0).max(100_000).optional(),
	/** The floor: the rules never leave fewer good backups than this. It keeps nothing by itself. */
	keepMinimum: z.number().int().min(0).max(1_000_000).optional(),
	/** Bytes that a group's kept backups may take; beyond them the oldest go, but never below the floor. */
	maxTotalBytes: z.number().int().positive().optional(),
	/** IANA name of the zone in which hours, days, weeks, months and years are told apart: `Europe/Berlin`. */
	zone: z.string().refine((zone) => IANAZone.isValidZone(zone), { message: 'is not an IANA time zone' }),
});

/** What to keep. The rules are ORed: a backup stays if one of them wants it. */
export type RetentionPolicy = z.infer<typeof schema>;

/** A policy without its zone. */
export type RetentionRules = Omit<RetentionPolicy, 'zone'>;

/**
 * Checks a policy that came from outside.
 *
 * @throws LifeboatError `POLICY_INVALID` naming the field, or `POLICY_EMPTY` if there is no rule in it.
 */
export function parsePolicy(value: unknown): RetentionPolicy {
	const result = schema.safeParse(value);
	if (!result.success) {
		const issue = result.error.issues[0];
		throw new LifeboatError(
			'POLICY_INVALID',
			`The retention policy is not valid: ${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'unreadable'}`,
			{ hint: 'Correct this field of the policy. Nothing was deleted' },
		);
	}
	const policy = result.data;
	if (!hasKeepRule(policy) && policy.maxTotalBytes === undefined) {
		throw new LifeboatError('POLICY_EMPTY', 'The retention policy has no rule that keeps a backup', {
			hint:
				policy.keepMinimum === undefined
					? 'Set at least one rule, such as Keep Daily. Nothing was deleted'
					: 'Keep Minimum is only a floor under other rules: set one, such as Keep Last. Nothing was deleted',
		});
	}
	return policy;
}

/** These limit what the rules decide; they don't say what stays. */
const LIMITS = new Set(['keepMinimum', 'maxTotalBytes', 'zone']);

/** Whether any rule says what stays. Without one only the size cap decides, and everything stays below it. */
export function hasKeepRule(policy: RetentionRules): boolean {
	return Object.entries(policy).some(
		([name, value]) => !LIMITS.has(name) && (Array.isArray(value) ? value.length > 0 : Boolean(value)),
	);
}

/** Policies that people ask for by name. */
export const presets: readonly { name: string; value: string; policy: RetentionRules }[] = [
	{
		name: '30 daily, 12 weekly, 12 monthly, 7 yearly',
		value: 'grandfatherFatherSon',
		policy: { keepDaily: 30, keepWeekly: 12, keepMonthly: 12, keepYearly: 7 },
	},
	{ name: '30 days, at least 10', value: 'thirtyDays', policy: { keepDays: 30, keepMinimum: 10 } },
	{ name: '7 daily', value: 'sevenDaily', policy: { keepDaily: 7 } },
];
