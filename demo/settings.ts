import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** What the command line and the environment ask of the demo. */
export interface DemoSettings {
	/** End when done, instead of staying up. */
	exit: boolean;
	/** A script to load in place of the sample shop. */
	sql: string | undefined;
	/** Where to store backups, if not in a local folder. */
	s3: S3Settings | undefined;
}

export interface S3Settings {
	endpoint: string;
	bucket: string;
	region: string;
	accessKeyId: string;
	secretAccessKey: string;
}

export const usage = `npm run demo [-- --exit] [--sql FILE]

  --exit       end after the comparison, with status 0 only if it held
  --sql FILE   load this script instead of the sample shop

Backups go to a local folder, or to S3 with all of these set:
  LIFEBOAT_DEMO_S3_ENDPOINT, LIFEBOAT_DEMO_S3_BUCKET, LIFEBOAT_DEMO_S3_REGION (us-east-1 unless set),
  LIFEBOAT_DEMO_S3_ACCESS_KEY_ID, LIFEBOAT_DEMO_S3_SECRET_ACCESS_KEY`;

/** @throws an Error whose message tells what is wrong with them. */
export function readSettings(args: string[], environment: NodeJS.ProcessEnv): DemoSettings {
	const { values } = parseArgs({
		args,
		options: { exit: { type: 'boolean', default: false }, sql: { type: 'string' } },
	});
	// npm changes to the package's folder and tells in INIT_CWD where it was called.
	const sql = values.sql === undefined ? undefined : resolve(environment.INIT_CWD ?? '.', values.sql);
	if (sql !== undefined && !existsSync(sql)) throw new Error(`There is no file ${sql}`);
	return { exit: values.exit, sql, s3: s3Settings(environment) };
}

function s3Settings(environment: NodeJS.ProcessEnv): S3Settings | undefined {
	const read = (name: string) => environment[`LIFEBOAT_DEMO_S3_${name}`]?.trim() ?? '';
	const settings = {
		...{ endpoint: read('ENDPOINT'), bucket: read('BUCKET'), region: read('REGION') || 'us-east-1' },
		...{ accessKeyId: read('ACCESS_KEY_ID'), secretAccessKey: read('SECRET_ACCESS_KEY') },
	};
	if (settings.endpoint === '' && settings.bucket === '') return undefined;
	const empty = Object.entries(settings).filter(([, value]) => value === '');
	if (empty.length > 0)
		throw new Error(`The S3 settings are not complete: ${empty.map(([name]) => name).join(', ')} missing`);
	return settings;
}
