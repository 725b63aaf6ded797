import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { LifeboatError } from '../../../lib/errors';
import { applyPlan, type Deletion } from '../../../lib/retention/apply';
import { toRetentionBackup } from '../../../lib/retention/backup';
import { planRetention } from '../../../lib/retention/plan';
import { shortfallOf } from '../../../lib/retention/shortfall';
import { listBackups } from '../../../lib/storage/backups';
import { localStorage } from '../../../lib/storage/local/local-storage';
import { backup } from './arbitraries';
import { putBackup, retain } from './stored-backups';

const now = new Date('2026-11-21T12:00:00Z');
const day = (number: number) => `2026-11-${String(number).padStart(2, '0')}T02:00:00.000Z`;

/** Two chains of a full backup and two increments, the older of which is to go. */
const chained = () =>
	[1, 2, 3, 4, 5, 6].map((number) => {
		const base = number > 3 ? 'b4' : 'b1';
		const key = `b${number}`;
		return backup(day(number), { key, ...(key !== base && { chain: { parent: `b${number - 1}`, base } }) });
	});

const planFor = (backups = chained()) => planRetention(backups, { keepLast: 2, zone: 'UTC' }, { now });

async function collect(results: AsyncIterable<Deletion>): Promise<Deletion[]> {
	const all: Deletion[] = [];
	for await (const result of results) all.push(result);
	return all;
}

test('deletes what the plan deletes, dependents first, and tells of every backup', async () => {
	const removed: string[] = [];
	const results = await collect(applyPlan(planFor(), async (key) => void removed.push(key)));
	assert.deepEqual(removed, ['b3', 'b2', 'b1']);
	assert.deepEqual(
		results.map(({ decision, deleted }) => [decision.key, deleted]),
		[...['b6', 'b5', 'b4'].map((key) => [key, false]), ...['b3', 'b2', 'b1'].map((key) => [key, true])],
	);
	assert.ok(results.every(({ reason }) => reason.length > 0));
});

test('a deletion that fails keeps what that backup needs, and the others go on', async () => {
	const error = new LifeboatError('ACCESS_DENIED', 'The storage refused');
	const other = [7, 8, 9].map((number) => backup(day(number), { key: `o${number}`, name: 'other' }));
	const removed: string[] = [];
	const results = await collect(
		applyPlan(planFor([...chained(), ...other]), async (key) => {
			if (key === 'b2') throw error;
			removed.push(key);
		}),
	);
	assert.deepEqual(removed, ['b3', 'o7']);
	const of = (key: string) => results.find(({ decision }) => decision.key === key)!;
	assert.equal(of('b2').error, error);
	assert.match(of('b2').reason, /could not be deleted: The storage refused/);
	assert.equal(of('b1').deleted, false);
	assert.match(of('b1').reason, /b2 needs it/);
});

test('what the storage has locked, or somebody pinned meanwhile, stays without a failure', async () => {
	for (const code of ['LOCKED', 'OBJECT_LOCKED', 'PINNED']) {
		const results = await collect(
			applyPlan(planFor(), async (key) => {
				if (key === 'b3') throw new LifeboatError(code, 'b3 is locked until 2027');
			}),
		);
		const of = (key: string) => results.find(({ decision }) => decision.key === key);
		assert.deepEqual(
			[of('b3')?.deleted, of('b3')?.error, of('b3')?.reason],
			[false, undefined, 'stays: b3 is locked until 2027'],
		);
		assert.equal(of('b1')?.deleted, false, 'b3 needs it');
		assert.equal(shortfallOf(planFor(), results), undefined);
	}
});

test('what a run left undone is told in one error, of every failure and every refusal', async () => {
	const broken = ['x', 'y'].flatMap((name) =>
		[1, 2, 3].map((number) =>
			backup(day(number), { key: `${name}${number}`, name, state: 'unfinished', problem: 'object missing' }),
		),
	);
	const plan = planFor([...chained(), ...broken]);
	const results = await collect(
		applyPlan(plan, async (key) => {
			if (key === 'b1') throw new LifeboatError('CONNECTION_FAILED', 'the server hung up');
		}),
	);
	const error = shortfallOf(plan, results);
	assert.equal(error?.code, 'RETENTION_INCOMPLETE');
	assert.equal(
		error.message,
		'Retention is not complete: 1 of the backups could not be deleted, and nothing was deleted of x (database), y (database). In all 2 backups were deleted',
	);
	assert.match(error.hint ?? '', /b1 could not be deleted: the server hung up\. None of the backups of x/);

	const alone = planFor(broken.slice(0, 3));
	assert.match(shortfallOf(alone, [])?.message ?? '', /^None of the backups of x \(database\) is complete/);
	assert.equal(shortfallOf(planFor(), await collect(applyPlan(planFor(), async () => {}))), undefined);
});

test('a key that another run has written again since the plan was made stays', async () => {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-retention-'));
	try {
		const storage = localStorage({ folder });
		for (const number of [1, 2, 3, 4]) await putBackup(storage, `day-${number}`, day(number));
		const policy = JSON.stringify({ keepLast: 1, zone: 'UTC' });
		const removed = await retain(storage, policy, async () => {
			// As with one key a weekday: of one the new backup is whole, of the other only its object has arrived.
			await rm(join(folder, 'day-1.manifest.json'));
			await storage.delete('day-2.manifest.json');
			await storage.delete('day-2');
			await storage.delete('day-2.sha256');
			await putBackup(storage, 'day-2', day(5), { id: 'the new one' });
		});
		assert.deepEqual(removed, ['day-3']);
		const left = (await readdir(folder)).filter((name) => /^day-\d$/.test(name));
		assert.deepEqual(left.sort(), ['day-1', 'day-2', 'day-4']);
	} finally {
		await rm(folder, { recursive: true });
	}
});

test('an abort ends it before the next deletion', async () => {
	const controller = new AbortController();
	const removed: string[] = [];
	const results = applyPlan(
		planFor(),
		async (key) => {
			removed.push(key);
			controller.abort();
		},
		controller.signal,
	);
	await assert.rejects(collect(results), { name: 'AbortError' });
	assert.deepEqual(removed, ['b3']);
});

test('a plan that was altered is refused before anything is deleted', async () => {
	const never = async () => assert.fail('deleted');
	const altered = (change: (plan: ReturnType<typeof planFor>) => void) => {
		const plan = planFor(chained().map((each) => ({ ...each, pinned: each.key === 'b2' })));
		change(plan);
		return applyPlan(plan, never);
	};
	const decision = (plan: ReturnType<typeof planFor>, key: string) =>
		plan.groups[0]!.decisions.find((each) => each.key === key)!;
	const changes: Array<[string, (plan: ReturnType<typeof planFor>) => void]> = [
		['all', (plan) => plan.groups[0]!.decisions.forEach((each) => (each.action = 'delete'))],
		['base of a kept one', (plan) => (decision(plan, 'b4').action = 'delete')],
		['pinned', (plan) => (decision(plan, 'b2').action = 'delete')],
		['refused', (plan) => (plan.groups[0]!.refused = { code: 'BACKUPS_STOPPED', message: '', hint: '' })],
		[
			'twice',
			(plan) =>
				plan.groups.push({ name: '', kind: '', decisions: [{ ...decision(plan, 'b3'), action: 'keep' }] }),
		],
	];
	for (const [name, change] of changes) {
		await assert.rejects(collect(altered(change)), { code: 'PLAN_UNSAFE' }, name);
	}
});

for (const rules of [{ keepLast: 2 }, { keepDaily: 30, maxTotalBytes: 40 }]) {
	test(`killed at any file, the next run ends right: ${JSON.stringify(rules)}`, async () => {
		const policy = { ...rules, zone: 'UTC' };
		const root = await mkdtemp(join(tmpdir(), 'lifeboat-retention-'));
		const run = (folder: string, killAt: number) =>
			spawnSync(
				process.execPath,
				[
					'--import',
					'tsx',
					join(__dirname, 'apply-process.ts'),
					folder,
					JSON.stringify(policy),
					String(killAt),
				],
				{ encoding: 'utf8' },
			);
		try {
			// Three backups; each has an object and room for three files beside it that go.
			for (let killAt = 0; killAt <= 12; killAt += 1) {
				const folder = join(root, String(killAt));
				const storage = localStorage({ folder });
				for (const { key, createdAt, chain } of chained()) {
					await putBackup(storage, key, createdAt, { ...(chain && { chain }) });
				}
				await writeFile(join(folder, 'b0'), 'a foreign file');

				const killed = run(folder, killAt);
				assert.equal(killed.signal, killAt < 12 ? 'SIGKILL' : null, killed.stderr);
				const left = [];
				for await (const stored of listBackups(storage)) left.push(toRetentionBackup(stored));
				const whole = new Set(left.filter(({ state }) => state === 'complete').map(({ id }) => id));
				for (const id of ['b4', 'b5', 'b6']) assert.ok(whole.has(id), `${id} is whole after ${killAt}`);
				for (const { id, chain } of left) {
					const needs = whole.has(id) && chain ? [chain.parent, chain.base] : [];
					assert.ok(
						needs.every((need) => whole.has(need)),
						`${id} has all it needs after ${killAt}`,
					);
				}

				await retain(storage, JSON.stringify(policy));
				const files = ['b4', 'b5', 'b6'].flatMap((key) => [key, `${key}.manifest.json`, `${key}.sha256`]);
				assert.deepEqual((await readdir(folder)).sort(), ['b0', ...files], `after ${killAt}`);
				assert.deepEqual(await retain(storage, JSON.stringify(policy)), [], 'a third run has nothing to do');
			}
		} finally {
			await rm(root, { recursive: true });
		}
	});
}
