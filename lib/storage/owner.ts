import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';

import { z } from 'zod/v4';

import { codeOf } from '../errors';

const schema = z.object({
	/** Where process ids mean the same: this boot of this machine, this PID namespace (container). */
	scope: z.string().optional(),
	pid: z.number().int().positive(),
	/** Process ids are used again; this isn't. */
	process: z.string(),
});

/** The process that holds something in a storage. */
export type Owner = z.infer<typeof schema>;

/** This process. */
export const self: Owner = { ...scope(), pid: process.pid, process: randomUUID() };

/** Only Linux tells. Elsewhere no other process is ever known to be dead. */
function scope(): Pick<Owner, 'scope'> {
	try {
		const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
		return { scope: `${boot} ${readlinkSync('/proc/self/ns/pid')}` };
	} catch {
		return {};
	}
}

/** What was written by `JSON.stringify`; nothing if it is something else. */
export function parseOwner(value: unknown): Owner | undefined {
	const { success, data } = schema.safeParse(value);
	return success ? data : undefined;
}

/** Whether a process is known to have ended. A process of another machine or container never is. */
export function isDead(owner: Owner | undefined): boolean {
	if (!owner || owner.scope === undefined || owner.scope !== self.scope || owner.process === self.process)
		return false;
	if (owner.pid === self.pid) return true;
	try {
		process.kill(owner.pid, 0);
		return false;
	} catch (error) {
		// EPERM: it runs, as another user.
		return codeOf(error) === 'ESRCH';
	}
}
