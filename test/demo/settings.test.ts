import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';

import { Cleanup } from '../../demo/cleanup';
import { readSettings } from '../../demo/settings';

const demo = join(__dirname, '../../demo');

test('settings come from the command line and the environment', () => {
	assert.deepEqual(readSettings([], {}), { exit: false, sql: undefined, s3: undefined });
	const environment = {
		LIFEBOAT_DEMO_S3_ENDPOINT: 'http://127.0.0.1:9000',
		LIFEBOAT_DEMO_S3_BUCKET: 'b',
		LIFEBOAT_DEMO_S3_ACCESS_KEY_ID: 'id',
		LIFEBOAT_DEMO_S3_SECRET_ACCESS_KEY: 'secret',
	};
	assert.deepEqual(readSettings(['--exit', '--sql', 'shop.sql'], { ...environment, INIT_CWD: demo }), {
		...{ exit: true, sql: join(demo, 'shop.sql') },
		s3: {
			...{ endpoint: 'http://127.0.0.1:9000', bucket: 'b', region: 'us-east-1' },
			...{ accessKeyId: 'id', secretAccessKey: 'secret' },
		},
	});
	assert.throws(
		() => readSettings([], { ...environment, LIFEBOAT_DEMO_S3_SECRET_ACCESS_KEY: ' ' }),
		/not complete: secretAccessKey missing/,
	);
	assert.throws(() => readSettings(['--exti'], {}), /--exti/);
	assert.throws(() => readSettings(['--sql', 'none.sql'], { INIT_CWD: demo }), /no file .*demo\/none\.sql/);
});

test('cleaning up undoes the latest first, once, whatever fails', async () => {
	const done: string[] = [];
	const cleanup = new Cleanup();
	await cleanup.add(async () => done.push('first'));
	await cleanup.add(async () => {
		throw new Error('stuck');
	});
	await cleanup.add(async () => done.push('last'));
	await assert.rejects(Promise.all([cleanup.run(), cleanup.run()]), /stuck/);
	await cleanup.add(async () => done.push('late'));
	assert.deepEqual(done, ['last', 'first', 'late']);
});
