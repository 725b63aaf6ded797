import type { Manifest } from '../../artifact/manifest';
import { LifeboatError } from '../../errors';
import type { Storage } from '../storage';

import { listBackups, type ListBackupsOptions } from './list';

export interface NewestBackupOptions extends ListBackupsOptions {
	/** Only backups of the job with this name. */
	name?: string;
	/** Only backups of this kind. */
	kind?: Manifest['kind'];
	/** Only those made before this moment. */
	before?: Date;
	/** Now, unless given. */
	now?: Date;
}

export interface NewestBackup {
	key: string;
	manifest: Manifest;
	/** What might have been newer but can't be relied on, in words; undefined if there is nothing. */
	passedOver: string | undefined;
}

/** Milliseconds by which the clocks of machines may differ. */
const TOLERANCE = 86_400_000;

/** Problems, and jobs, that a message names one by one. */
const MOST_NAMED = 10;

/**
 * The newest whole backup of one job, by the time in the manifests: names and times of files prove nothing. A job is what retention takes
 * for one: a name and a kind.
 *
 * @throws LifeboatError `NOT_FOUND`; `AMBIGUOUS` if backups of several jobs fit, since the newest of them all would be that of now one and
 * now the other. One that is dated wrongly, in the future or after it was stored, is passed over: it would be the newest for years.
 */
export async function newestBackup(
	storage: Storage,
	options: NewestBackupOptions = {},
): Promise<NewestBackup> {
	const { prefix = '', name, kind, before, now = new Date() } = options;
	const newest = new Map<string, { key: string; manifest: Manifest; madeAt: number }>();
	const problems = new Names();
	for await (const { key, manifest, problem, storedBefore } of listBackups(storage, options)) {
		if (manifest) {
			if (name !== undefined && manifest.name !== name) continue;
			if (kind !== undefined && manifest.kind !== kind) continue;
			if (before && Date.parse(manifest.createdAt) >= +before) continue;
		}
		if (!manifest || problem !== undefined) {
			problems.add(`${key} (${problem ?? 'no manifest'})`);
			continue;
		}
		const job = `${manifest.name} (${manifest.kind})`;
		const madeAt = Date.parse(manifest.createdAt);
		if (madeAt > now.getTime() + TOLERANCE || storedBefore) {
			problems.add(`${key} (dated wrongly, ${manifest.createdAt})`);
			continue;
		}
		if (madeAt > (newest.get(job)?.madeAt ?? -Infinity)) newest.set(job, { key, manifest, madeAt });
	}
	const passedOver = problems.isEmpty ? undefined : `Passed over because of problems: ${problems.inWords()}`;
	const where = `${prefix === '' ? '' : `under "${prefix}" `}in ${storage.description}`;
	if (newest.size > 1) throw ambiguous(newest, where);
	for (const { key, manifest } of newest.values()) return { key, manifest, passedOver };
	const what = [
		...(kind === undefined ? [] : [` of the kind ${kind}`]),
		...(name === undefined ? [] : [` named "${name}"`]),
		...(before === undefined ? [] : [` made before ${before.toISOString()}`]),
	].join('');
	throw new LifeboatError('NOT_FOUND', `There is no backup${what} ${where}`, {
		hint:
			passedOver ??
			'Check the prefix and what was asked for. The operation List tells which backups there are',
	});
}

function ambiguous(newest: ReadonlyMap<string, { manifest: Manifest }>, where: string): LifeboatError {
	const jobs = new Names();
	for (const job of [...newest.keys()].sort()) jobs.add(job);
	const names = new Set([...newest.values()].map(({ manifest }) => manifest.name));
	return new LifeboatError('AMBIGUOUS', `There are backups of several jobs ${where}: ${jobs.inWords()}`, {
		hint:
			names.size > 1
				? 'Fill in Backup Name, and choose the Kind where jobs of one name differ in it'
				: 'Choose the Kind of the one that is meant',
	});
}

/** Names for a message: the first ones, and how many more there are. */
class Names {
	private readonly first: string[] = [];

	private count = 0;

	get isEmpty(): boolean {
		return this.count === 0;
	}

	add(name: string): void {
		this.count += 1;
		if (this.first.length < MOST_NAMED) this.first.push(name);
	}

	inWords(): string {
		const more = this.count - this.first.length;
		return this.first.join(', ') + (more > 0 ? ` and ${more} more` : '');
	}
}
