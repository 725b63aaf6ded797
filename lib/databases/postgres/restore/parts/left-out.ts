import type { SelectedParts } from './parts';
import { relationKey, type ScriptObject } from './script-object';

/**
 * What of the selected parts can't be restored, since it needs something that is neither restored nor there.
 *
 * @param existing keys of the target's relations. @param withoutPublication tables and schemas that are to be added to one.
 * @returns the ids of its objects, and a warning for each.
 */
export function findLeftOut(
	selected: SelectedParts | undefined,
	existing: ReadonlySet<string>,
	byId: ReadonlyMap<number, ScriptObject>,
	withoutPublication: readonly ScriptObject[],
): { ids: ReadonlySet<number>; warnings: string[] } {
	const ids = new Set<number>();
	const warnings: string[] = [];
	const leaveOut = ({ id, desc, tag }: ScriptObject, needed: string) => {
		ids.add(id);
		warnings.push(`${desc} ${tag} was left out: it needs ${needed}, which is neither restored nor there`);
	};
	for (const [id, relation] of selected?.needing ?? []) {
		if (existing.has(relationKey(relation))) continue;
		leaveOut(byId.get(id)!, `${relation.schema ?? ''}.${relation.name}`);
	}
	for (const object of withoutPublication) leaveOut(object, `the publication ${object.publication}`);
	return { ids, warnings };
}
