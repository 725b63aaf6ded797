import { LifeboatError } from '../errors';
import type { Deletion } from './apply';
import { labelOf } from './describe-group';
import type { RetentionPlan } from './plan-types';

/** How many failures a message names one by one. */
const NAMED = 5;

/**
 * What a run left undone that somebody must know of: groups for which it refused to delete, and deletions that failed. Undefined
 * when all went as planned. `RETENTION_INCOMPLETE`, to be thrown once everything else is done.
 */
export function shortfallOf(
	{ groups }: RetentionPlan,
	results: readonly Deletion[],
): LifeboatError | undefined {
	const refused = groups.filter((group) => group.refused);
	const failed = results.filter(({ error }) => error !== undefined);
	if (refused.length === 0 && failed.length === 0) return undefined;
	const deleted = results.filter((result) => result.deleted).length;
	const done = `${deleted === 0 ? 'no backup was' : deleted === 1 ? '1 backup was' : `${deleted} backups were`} deleted`;
	const [only, ...others] = refused;
	if (only?.refused && others.length === 0 && failed.length === 0) {
		const { message, hint } = only.refused;
		const rest = groups.length > 1 ? `. Of the other jobs ${done}` : '';
		return new LifeboatError('RETENTION_INCOMPLETE', `${message}${rest}`, { hint });
	}
	const parts = [
		...(failed.length > 0 ? [`${failed.length} of the backups could not be deleted`] : []),
		...(refused.length > 0 ? [`nothing was deleted of ${refused.map(labelOf).join(', ')}`] : []),
	];
	const details = [
		...failed.slice(0, NAMED).map(({ decision, reason }) => `${decision.key} ${reason}`),
		...(failed.length > NAMED ? [`and ${failed.length - NAMED} more, which the next run tries again`] : []),
		...refused.slice(0, NAMED).map((group) => `${group.refused!.message}: ${group.refused!.hint}`),
		...(refused.length > NAMED ? [`and ${refused.length - NAMED} more jobs`] : []),
	];
	return new LifeboatError(
		'RETENTION_INCOMPLETE',
		`Retention is not complete: ${parts.join(', and ')}. In all ${done}`,
		{ hint: `${details.join('. ')}. To go on with the items that say so of each, set On Error to Continue` },
	);
}
