import type { RetentionBackup } from './backup';

/** Which backups can't be restored without which others, across all groups of a plan. */
export class Chains {
	private readonly byId = new Map<string, RetentionBackup[]>();

	private readonly dependents = new Map<RetentionBackup, RetentionBackup[]>();

	private readonly sound = new Set<RetentionBackup>();

	constructor(backups: readonly RetentionBackup[]) {
		const linked = backups.filter(({ chain }) => chain !== undefined);
		if (linked.length === 0) return;
		for (const backup of backups) {
			const same = this.byId.get(backup.id);
			if (same) same.push(backup);
			else this.byId.set(backup.id, [backup]);
		}
		for (const backup of linked) {
			for (const needed of this.needs(backup)) {
				const others = this.dependents.get(needed);
				if (others) others.push(backup);
				else this.dependents.set(needed, [backup]);
			}
		}
		// From full backups up the chains: what is never reached hangs in the air, or in a circle.
		const reached = backups.filter(({ state, chain }) => state === 'complete' && chain === undefined);
		for (let backup = reached.pop(); backup !== undefined; backup = reached.pop()) {
			this.sound.add(backup);
			for (const dependent of this.neededBy(backup)) {
				if (this.sound.has(dependent) || dependent.state !== 'complete') continue;
				if (idsOf(dependent).every((id) => this.byId.get(id)?.some((each) => this.sound.has(each)))) {
					reached.push(dependent);
				}
			}
		}
	}

	/** Whether no backup needs another. */
	get empty(): boolean {
		return this.byId.size === 0;
	}

	/** What lies there of the backups that this one needs directly. All copies of each. */
	needs(backup: RetentionBackup): RetentionBackup[] {
		return idsOf(backup).flatMap((id) => this.byId.get(id) ?? []);
	}

	/** The backups that need this one directly. */
	neededBy(backup: RetentionBackup): readonly RetentionBackup[] {
		return this.dependents.get(backup) ?? [];
	}

	/** When the full backup was made that this one rests on, as it stands in its manifest. */
	startedAt(backup: RetentionBackup): string {
		const base = backup.chain && this.byId.get(backup.chain.base)?.[0];
		return base?.createdAt ?? backup.createdAt;
	}

	/** Why a backup can't be restored although it is complete itself. */
	problem(backup: RetentionBackup): string | undefined {
		if (backup.chain === undefined || this.sound.has(backup)) return undefined;
		const missing = idsOf(backup).filter((id) => !this.byId.has(id));
		return missing.length > 0
			? `it needs ${missing.join(' and ')}, which is not here`
			: 'a backup that it needs is not complete';
	}

	/** Adds to a set all that its members need, directly and indirectly, each with a member that needs it. */
	complete(kept: Set<RetentionBackup>): Map<RetentionBackup, RetentionBackup> {
		const reasons = new Map<RetentionBackup, RetentionBackup>();
		if (this.empty) return reasons;
		const queue = [...kept].filter(({ chain }) => chain !== undefined);
		for (let backup = queue.pop(); backup !== undefined; backup = queue.pop()) {
			for (const needed of this.needs(backup)) {
				if (!reasons.has(needed)) reasons.set(needed, backup);
				if (kept.has(needed)) continue;
				kept.add(needed);
				queue.push(needed);
			}
		}
		return reasons;
	}
}

function idsOf({ chain }: RetentionBackup): string[] {
	return chain ? [...new Set([chain.parent, chain.base])] : [];
}
