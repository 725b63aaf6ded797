import type { ObjectComment } from '../sql/lexer';

import { remarkKinds } from './parts';
import type { ScriptObject } from './script-object';

/** Objects that were there already, and stay as they are; so do their comments, privileges and labels. */
export class KeptObjects {
	private readonly ids = new Set<number>();

	private readonly names = new Set<string>();

	add({ id, schema, desc, tag }: ObjectComment): void {
		this.ids.add(id);
		this.names.add(`${schema ?? ''} ${desc} ${tag}`);
	}

	has({ id, desc, tag, schema, dependencies = [] }: ScriptObject): boolean {
		if (this.ids.has(id)) return true;
		if (!remarkKinds.test(desc)) return false;
		// The tag of a comment or privilege names its object.
		return this.names.has(`${schema ?? ''} ${tag}`) || dependencies.some((other) => this.ids.has(other));
	}
}
