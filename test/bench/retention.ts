import { spawnSync } from 'node:child_process';

import { parsePolicy, presets, type RetentionRules } from '../../lib/retention/policy';
import { planRetention, type RetentionBackup } from '../../lib/retention/plan';

const BACKUPS = 100_000;

/** The fastest of these counts, and the most memory: other processes slow it down, nothing makes it faster. */
const RUNS = 3;

const MEBIBYTE = 1024 * 1024;

/** What is measured, each in a process of its own so that one's memory isn't counted as the other's. */
const policies: Record<string, RetentionRules> = {
	...Object.fromEntries(presets.map(({ name, policy }) => [name, policy])),
	'everything within 50 years': { keepWithin: '50y' },
	'all hourly, size cap': { keepHourly: -1, maxTotalBytes: 5e10 },
	'all hourly': { keepHourly: -1 },
};

interface Measured {
	seconds: number;
	mebibytes: number;
	kept: number;
}

function measure(name: string): Measured {
	const now = new Date('2026-11-21T12:00:00Z');
	const backups = Array.from({ length: BACKUPS }, (_, index): RetentionBackup => {
		const key = `shop-${index}.sql.zst.age`;
		const createdAt = new Date(+now - index * 3_600_000).toISOString();
		return {
			key,
			id: `id-${index}`,
			name: 'shop',
			kind: 'database',
			createdAt,
			size: 1e6,
			state: 'complete',
		};
	});
	const policy = parsePolicy({ ...policies[name], zone: 'Europe/Berlin' });
	const before = process.memoryUsage().rss;
	const start = performance.now();
	const { totals } = planRetention(backups, policy, { now });
	const seconds = (performance.now() - start) / 1000;
	return { seconds, mebibytes: (process.memoryUsage().rss - before) / MEBIBYTE, kept: totals.kept };
}

/** A plan over 100,000 hourly backups: at most 1 s, and 150 MiB more than the list itself takes. */
export async function bench(): Promise<void> {
	const results = Object.keys(policies).map((policy) => {
		const runs = Array.from({ length: RUNS }, () => {
			const child = spawnSync(process.execPath, ['--import', 'tsx', __filename, policy], {
				encoding: 'utf8',
			});
			if (child.status !== 0) throw new Error(child.stderr);
			return JSON.parse(child.stdout) as Measured;
		});
		const mebibytes = Math.max(...runs.map((run) => run.mebibytes));
		return { policy, kept: runs[0]!.kept, seconds: Math.min(...runs.map((run) => run.seconds)), mebibytes };
	});
	console.log(`A plan over ${BACKUPS.toLocaleString('en')} backups`);
	console.table(
		results.map(({ policy, seconds, mebibytes, kept }) => ({
			policy,
			kept,
			seconds: seconds.toFixed(2),
			'MiB more': Math.round(mebibytes),
		})),
	);
	const worst = (list: typeof results, what: 'seconds' | 'mebibytes') =>
		Math.max(...list.map((each) => each[what]));
	console.log(`retention-plan-seconds ratio=${worst(results, 'seconds').toFixed(2)} limit=1`);
	console.log(`retention-plan-memory ratio=${(worst(results, 'mebibytes') / 150).toFixed(2)} limit=1`);
}

if (require.main === module) process.stdout.write(JSON.stringify(measure(process.argv[2]!)));
