import type { Manifest } from '../../artifact/manifest';
import { LifeboatError } from '../../errors';
import { assertKey } from '../keys';
import type { Storage } from '../storage';

import { isNotFound, readBackup } from './read';
import { sidecarSuffixes } from './sidecars';

/** What a key template may say of where the backup comes from, besides what its manifest tells. */
export interface KeyContext {
	workflow: string;
	execution: string;
	host: string;
}

/** The placeholders of a key template, and what each stands for. */
export const keyPlaceholders = {
	file: 'name of the backup with its time and extension',
	name: 'name of the job',
	kind: 'database, files or bundle',
	id: 'id of the backup',
	extension: 'such as .sql.zst.age',
	date: 'day of the backup, 2026-11-21 (UTC)',
	time: 'time of day, 020000 (UTC)',
	year: '2026',
	month: '11',
	day: '21',
	workflow: 'name of the workflow',
	execution: 'id of the execution',
	host: 'name of the machine n8n runs on',
	sequence: 'one more than the highest number there, 0001',
} as const;

const PLACEHOLDER = /\{([^{}]*)\}/g;

/** A key, or, where the template holds a `{sequence}`, all but its number. */
export interface KeyPlan {
	/** The whole key; before the number, where there is one. */
	before: string;
	/** After the number; undefined without one. */
	after?: string;
	/** What may follow the number in the keys of other backups that are counted. */
	others?: RegExp;
}

/**
 * The key that a template makes for a backup. What a placeholder stands for never adds a folder: `/` in it becomes `-`.
 *
 * @param prefix put before it as it is.
 * @throws LifeboatError `INVALID_OPTION` for a placeholder that isn't known, `INVALID_KEY`.
 */
export function planKey(prefix: string, template: string, manifest: Manifest, context: KeyContext): KeyPlan {
	const [before, after, ...more] = template.split('{sequence}') as [string, string?, ...string[]];
	if (more.length > 0) {
		throw new LifeboatError('INVALID_OPTION', 'The key template holds {sequence} more than once', {
			hint: 'Use it once',
		});
	}
	const values = valuesOf(manifest, context);
	const plan = { before: prefix + render(before, values) };
	if (after === undefined) {
		assertKey(plan.before);
		return plan;
	}
	const rendered = render(after, values);
	assertKey(`${plan.before}0001${rendered}`);
	const others = after
		.split(PLACEHOLDER)
		.map((text, index) => (index % 2 === 0 ? text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&') : '[^/]*'))
		.join('');
	return { ...plan, after: rendered, others: new RegExp(`^${others}$`, 'u') };
}

function render(template: string, values: Record<string, string>): string {
	return template.replaceAll(PLACEHOLDER, (whole, placeholder: string) => {
		const value = values[placeholder];
		if (value === undefined) {
			throw new LifeboatError('INVALID_OPTION', `The key template holds ${whole}, which is not known`, {
				hint: `Placeholders are ${Object.keys(keyPlaceholders)
					.map((each) => `{${each}}`)
					.join(', ')}`,
			});
		}
		return value.replaceAll(/[/\\\p{Cc}]/gu, '-');
	});
}

function valuesOf(manifest: Manifest, context: KeyContext): Record<string, string> {
	const [date, clock] = new Date(manifest.createdAt).toISOString().split('T') as [string, string];
	const [year, month, day] = date.split('-') as [string, string, string];
	const { fileName, name, kind, id } = manifest;
	return {
		...{ file: fileName, name, kind, id, extension: extensionOf(fileName) },
		...{ date, time: clock.slice(0, 8).replaceAll(':', ''), year, month, day, ...context },
	};
}

/** From the first dot that a letter follows: a time or version in the name is none of it. */
function extensionOf(fileName: string): string {
	return /(\.[a-z][a-z0-9]*)+$/i.exec(fileName)?.[0] ?? '';
}

/** How often another run may take the number in between. */
const ATTEMPTS = 10;

/**
 * Runs `store` with the key of a plan. Its number is one more than the highest there, at least 0001; if another run took that meanwhile,
 * the next one. The backup itself, if it lies there already under the highest number, keeps it: a run that is repeated makes no
 * second copy.
 */
export async function storeNumbered<Result>(
	storage: Storage,
	plan: KeyPlan,
	id: string,
	store: (key: string) => Promise<Result>,
	signal?: AbortSignal,
): Promise<Result> {
	if (plan.after === undefined) return await store(plan.before);
	for (let attempt = 1; ; attempt += 1) {
		const highest = await highestNumber(storage, plan, signal);
		if (highest.key !== undefined && (await isThis(storage, highest.key, id, signal)))
			return await store(highest.key);
		try {
			return await store(`${plan.before}${String(highest.number + 1).padStart(4, '0')}${plan.after}`);
		} catch (error) {
			const taken = error instanceof LifeboatError && error.code === 'ALREADY_EXISTS';
			if (!taken || attempt === ATTEMPTS) throw error;
		}
	}
}

async function highestNumber(
	storage: Storage,
	{ before, others }: KeyPlan,
	signal?: AbortSignal,
): Promise<{ number: number; key?: string }> {
	let highest: { number: number; key?: string } = { number: 0 };
	for await (const object of storage.list(before, signal)) {
		const suffix = Object.values(sidecarSuffixes).find((each) => object.key.endsWith(each)) ?? '';
		const key = object.key.slice(0, object.key.length - suffix.length);
		const [digits] = /^\d{4,15}/.exec(key.slice(before.length)) ?? [];
		if (digits === undefined || !others!.test(key.slice(before.length + digits.length))) continue;
		if (Number(digits) >= highest.number) highest = { number: Number(digits), key };
	}
	return highest;
}

async function isThis(storage: Storage, key: string, id: string, signal?: AbortSignal): Promise<boolean> {
	try {
		return (await readBackup(storage, key, signal)).manifest?.id === id;
	} catch (error) {
		if (isNotFound(error)) return false;
		throw error;
	}
}
