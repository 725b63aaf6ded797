import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';

import { SecurityConfig } from '@n8n/config';
import { Container } from '@n8n/di';

import { localStorage } from '../../lib/storage/local/local-storage';
import { readBackup, writeProof } from '../../lib/storage/backups';
import { isFilePathBlocked } from '../../nodes/shared/n8n-file-rules';
import { putBackup } from '../lib/retention/stored-backups';
import { freePort } from '../servers/ports';

import { runWorkflow } from './engine';
import { userFolder } from './engine-environment';
import { temporaryFolder } from './fixtures';
import { createPoller } from './poll';

const DAY = 86_400_000;

describe('Backup Watch Trigger, through n8n’s own polls', () => {
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;
	let destination: string;

	before(async () => {
		folder = await temporaryFolder();
		process.env.N8N_RESTRICT_FILE_ACCESS_TO = folder.path;
	});

	after(async () => {
		delete process.env.N8N_RESTRICT_FILE_ACCESS_TO;
		await folder?.remove();
	});

	beforeEach(async () => {
		destination = join(folder.path, 'destination');
		await rm(destination, { recursive: true, force: true });
		await mkdir(destination);
	});

	const put = async (days: number) => {
		const createdAt = new Date(Date.now() - days * DAY - 60_000).toISOString();
		await putBackup(localStorage({ folder: destination }), `shop-${days}.tar`, createdAt);
	};

	const trigger = (parameters: object = {}) => ({
		type: 'backupWatchTrigger',
		parameters: { storage: 'local', folder: destination, ...parameters },
	});

	test('tells once that backups have stopped, and once that they go on', async () => {
		await put(2);
		const { poll } = await createPoller(trigger());
		const [alarm, ...others] = (await poll()) ?? [];
		assert.deepEqual(others, []);
		assert.deepEqual(
			[alarm?.event, alarm?.problem, alarm?.job, alarm?.kind, alarm?.open, alarm?.destination],
			['alarm', 'tooOld', 'shop', 'files', 1, `folder ${destination}`],
		);
		assert.match(alarm?.message as string, /^The newest good backup of shop \(files\) is 2 days old/);
		assert.equal(await poll(), undefined);
		assert.equal(await poll(), undefined);
		await put(0);
		const [well] = (await poll()) ?? [];
		assert.deepEqual([well?.event, well?.problem, well?.open], ['resolved', 'tooOld', 0]);
		assert.equal(await poll(), undefined);
	});

	test('remembers over a restart of n8n what it told', async () => {
		await put(2);
		const first = await createPoller(trigger());
		assert.equal((await first.poll())?.length, 1);
		const second = await createPoller(trigger(), {}, first.staticData());
		assert.equal(await second.poll(), undefined);
		for (const name of await readdir(destination)) await rm(join(destination, name));
		const third = await createPoller(trigger({ maxAge: '3d' }), {}, second.staticData());
		assert.equal(await third.poll(), undefined, 'the alarm is still the same');
		await put(0);
		assert.equal((await third.poll())?.[0]?.event, 'resolved');
	});

	test('a mount that is gone is out of reach, and no backup is called lost', async () => {
		await put(0);
		const { poll } = await createPoller(trigger());
		assert.equal(await poll(), undefined);
		await rename(destination, `${destination}.away`);
		const events = (await poll()) ?? [];
		assert.deepEqual(
			events.map(({ event, problem }) => [event, problem]),
			[['alarm', 'unreachable']],
		);
		assert.match(events[0]?.message as string, /is not there/);
		assert.match(events[0]?.hint as string, /mount it again/);
		assert.equal(await poll(), undefined);
		await rename(`${destination}.away`, destination);
		assert.deepEqual(
			(await poll())?.map(({ event, problem }) => [event, problem]),
			[['resolved', 'unreachable']],
		);
	});

	test('a server that does not answer is out of reach', async () => {
		const s3 = {
			...{ endpoint: `http://127.0.0.1:${await freePort()}`, region: 'us-east-1', forcePathStyle: true },
			...{ accessKeyId: 'key', secretAccessKey: 'very secret', ignoreSSLIssues: false },
		};
		const { poll } = await createPoller(trigger({ storage: 's3', bucket: 'backups' }), { s3 });
		const [alarm] = (await poll()) ?? [];
		assert.deepEqual([alarm?.event, alarm?.problem], ['alarm', 'unreachable']);
		assert.doesNotMatch(JSON.stringify(alarm), /very secret|ECONNREFUSED/);
		assert.equal(await poll(), undefined);
	});

	test('a test run shows what is wrong now, in the shape of an alarm, and remembers nothing', async () => {
		await put(2);
		const { poll, staticData } = await createPoller(trigger());
		for (let round = 0; round < 2; round += 1) {
			const [shown] = (await poll('manual')) ?? [];
			assert.deepEqual(
				[shown?.event, shown?.problem, shown?.job, shown?.test],
				['alarm', 'tooOld', 'shop', true],
			);
		}
		assert.deepEqual(staticData(), {});
		await put(0);
		const [well] = (await poll('manual')) ?? [];
		assert.match(
			well?.message as string,
			/^All is well\. The newest good backups: shop \(files\) 1 minutes? old$/,
		);
		const empty = await createPoller(trigger({ prefix: 'nothing', maxAge: '' }));
		assert.match((await empty.poll('manual'))?.[0]?.message as string, /no backups here yet/);
	});

	test('a prefix under which there is nothing to watch is told, until there is something', async () => {
		const none = await createPoller(trigger({ prefix: 'misspelt' }));
		const [alarm, ...others] = (await none.poll()) ?? [];
		assert.deepEqual(others, []);
		assert.deepEqual([alarm?.event, alarm?.problem, alarm?.job, alarm?.open], ['alarm', 'tooOld', '', 1]);
		assert.match(alarm?.message as string, /^There is no backup to watch at the destination$/);
		assert.equal(await none.poll(), undefined);

		const { poll } = await createPoller(trigger({ maxAge: '', rules: { times: ['00:00'] } }));
		await put(0);
		const manifest = join(destination, 'shop-0.tar.manifest.json');
		const text = await readFile(manifest);
		await writeFile(manifest, 'no manifest any more');
		const [unreadable] = (await poll()) ?? [];
		assert.equal(unreadable?.problem, 'missing');
		assert.match(unreadable?.message as string, /the manifests of all 1 that lie there can't be read$/);
		await writeFile(manifest, text);
		const [well] = (await poll()) ?? [];
		assert.deepEqual([well?.event, well?.message], ['resolved', 'There are backups to watch now']);
	});

	test('watches free space, a quota, restore tests, sizes and a schedule as its fields say', async () => {
		await put(0);
		const problems = async (rules: object, more: object = {}) => {
			const { poll } = await createPoller(trigger({ maxAge: '', rules, ...more }));
			return ((await poll()) ?? []).map(({ problem }) => problem);
		};
		assert.deepEqual(await problems({}), []);
		assert.deepEqual(await problems({ minFreeGb: 1e12 }), ['spaceLow']);
		assert.deepEqual(await problems({ minFreeGb: 0.000001 }), []);
		assert.deepEqual(await problems({ quotaGb: 0.000_000_022, minFreePercent: 10 }), ['spaceLow']);
		assert.deepEqual(await problems({ maxShrinkPercent: 10, maxGrowthPercent: 10, testEvery: '1d' }), []);
		assert.deepEqual(await problems({}, { jobs: ['shop', ' web '], maxAge: '26h' }), ['tooOld']);
		const past = new Date(Date.now() - 5 * 3_600_000).toISOString().slice(11, 16);
		assert.deepEqual(await problems({ times: [past], zone: 'UTC' }, { jobs: ['web'] }), ['missing']);

		const storage = localStorage({ folder: destination });
		const { manifest } = await readBackup(storage, 'shop-0.tar');
		await writeProof(storage, 'shop-0.tar', {
			...{ backupId: manifest!.id, storedSha256: manifest!.stored.sha256, passed: false, method: 'by hand' },
			...{ testedAt: new Date().toISOString(), recoveryTime: 1, dataAge: 1, checks: [] },
			tool: { name: 'n8n-nodes-lifeboat', version: '0.1.0' },
		});
		assert.deepEqual(await problems({ testEvery: '1d' }), ['testFailed']);
	});

	test('the example workflow makes readable e-mails of what it tells', async () => {
		const text = await readFile(join(__dirname, '../../workflows/watch-and-alert.json'), 'utf8');
		const { nodes } = JSON.parse(text) as {
			nodes: Array<{ type: string; parameters: Record<string, string> }>;
		};
		const parametersOf = (type: string) => nodes.find((node) => node.type.endsWith(`.${type}`))!.parameters;
		await put(3);
		const { poll } = await createPoller(
			trigger({ ...parametersOf('backupWatchTrigger'), folder: destination }),
		);
		const alarms = (await poll()) ?? [];
		assert.deepEqual(
			alarms.map(({ problem }) => problem),
			['tooOld'],
		);
		await put(0);
		const events = [...alarms, ...((await poll()) ?? [])];
		const result = await runWorkflow({
			input: events.map((json) => ({ json })),
			nodes: [
				{
					name: 'Mail',
					run: (items, context) =>
						items.map((_, index) => {
							const { subject, text: body } = parametersOf('emailSend');
							const evaluated = (value: string) =>
								context.evaluateExpression(value.slice(1), index) as string;
							return { json: { subject: evaluated(subject!), body: evaluated(body!) } };
						}),
				},
			],
		});
		const [bad, good] = result.assertSuccess().json('Mail');
		assert.match(
			bad?.subject as string,
			/^Backup alarm: The newest good backup of shop \(files\) is 3 days old/,
		);
		assert.match(
			bad?.body as string,
			/executions of the workflow.*Since: 20.*Destination: folder .*Open alarms: 1$/s,
		);
		assert.equal(good?.subject, 'Well again: shop (files): there is a new good backup again');
	});

	test('a field that is wrong fails the poll and is no alarm', async () => {
		const failure = async (parameters: object) => {
			const { poll } = await createPoller(trigger(parameters));
			return await poll().then(
				() => assert.fail('it did not fail'),
				(error: Error) => error.message,
			);
		};
		assert.match(await failure({ maxAge: 'a day' }), /'a day' is not a duration/);
		assert.match(await failure({ rules: { times: ['26:00'] } }), /'26:00' is not a time/);
		assert.match(await failure({ folder: '/etc' }), /does not allow access to \/etc/);
		assert.match(await failure({ folder: '' }), /Folder is empty/);
		assert.match(await failure({ folder: join(userFolder, '.n8n') }), /does not allow access/);
	});

	test('n8n’s file rules hold in polls as they hold in executions', async () => {
		const security = Container.get(SecurityConfig);
		const defaults = { allowed: '~/.n8n-files', patterns: security.blockFilePatterns };
		const paths = [
			...[
				'/',
				'/data',
				'/data/',
				'/data/backups/x',
				'/database',
				'/data/../etc',
				'/data/.git/config',
				'/a.git/b',
			],
			...[userFolder, join(userFolder, '.n8n'), join(userFolder, '.n8n/config'), join(userFolder, '.n8nx')],
			...[join(userFolder, '.cache/n8n/public/x'), join(homedir(), '.n8n-files/x'), homedir(), '/srv/own/x'],
			...['/secret/key.pem', '/data/key.pem', '/custom/node', '/binary/x'],
		];
		const settings: Array<Record<string, string>> = [
			{},
			{ N8N_RESTRICT_FILE_ACCESS_TO: '/data; /srv/own ;' },
			{ N8N_RESTRICT_FILE_ACCESS_TO: '~' },
			{ N8N_RESTRICT_FILE_ACCESS_TO: '' },
			{ N8N_RESTRICT_FILE_ACCESS_TO: '', N8N_BLOCK_FILE_PATTERNS: '\\.pem$; ^/srv' },
			{ N8N_RESTRICT_FILE_ACCESS_TO: '', N8N_BLOCK_FILE_PATTERNS: '(' },
			{ N8N_RESTRICT_FILE_ACCESS_TO: '', N8N_BLOCK_FILE_PATTERNS: '' },
			{ N8N_RESTRICT_FILE_ACCESS_TO: '', N8N_BLOCK_FILE_ACCESS_TO_N8N_FILES: 'false' },
			{ N8N_RESTRICT_FILE_ACCESS_TO: '', N8N_CUSTOM_EXTENSIONS: '/custom;/other' },
			{ N8N_RESTRICT_FILE_ACCESS_TO: '', N8N_BINARY_DATA_STORAGE_PATH: '/binary' },
		];
		let blocked = 0;
		for (const setting of settings) {
			await runWorkflow({
				nodes: [
					{
						name: 'Compare',
						run: async (items, context) => {
							const names = Object.keys(setting);
							const saved = { ...process.env };
							delete process.env.N8N_RESTRICT_FILE_ACCESS_TO;
							Object.assign(process.env, setting);
							security.restrictFileAccessTo = setting.N8N_RESTRICT_FILE_ACCESS_TO ?? defaults.allowed;
							security.blockFilePatterns = setting.N8N_BLOCK_FILE_PATTERNS ?? defaults.patterns;
							try {
								for (const path of paths) {
									const branded = path as Parameters<typeof context.helpers.isFilePathBlocked>[0];
									const expected = context.helpers.isFilePathBlocked(branded);
									assert.equal(isFilePathBlocked(path), expected, `${path} ${JSON.stringify(setting)}`);
									if (expected) blocked += 1;
								}
							} finally {
								for (const name of names) delete process.env[name];
								Object.assign(process.env, saved);
								security.blockFilePatterns = defaults.patterns;
							}
							return items;
						},
					},
				],
			}).then((result) => result.assertSuccess());
		}
		process.env.N8N_RESTRICT_FILE_ACCESS_TO = folder.path;
		assert.ok(blocked > 20 && blocked < settings.length * paths.length - 20, String(blocked));
	});
});
