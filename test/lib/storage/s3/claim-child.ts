/** Holds a claim, until it is killed. */
import { setTimeout as sleep } from 'node:timers/promises';

import { withClaim } from '../../../../lib/storage/s3/claim';
import { s3Target } from '../../../../lib/storage/s3/client';
import type { S3Settings } from '../../../../lib/storage/s3/s3-storage';

const [settings, key] = JSON.parse(process.argv[2]!) as [S3Settings, string];
void withClaim(
	s3Target(settings),
	key,
	new AbortController().signal,
	async () => {},
	async () => {
		console.log('mine');
		await sleep(600_000);
	},
);
