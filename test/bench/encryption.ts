import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { openFile } from '../../lib/artifact/file-artifact';
import {
	createAgeIdentity,
	decryptor,
	encryptionEncoding,
	type EncryptionKeys,
	type EncryptionName,
} from '../../lib/encryption/encryption';
import { chain } from '../../lib/streams/chain';
import { DigestStream } from '../../lib/streams/digest';
import { FileWriter } from '../../lib/streams/file-writer';
import { readToEnd } from '../../lib/streams/read-to-end';

/** Large enough that starting up counts for nothing, small enough that all of it takes two minutes. */
const SIZE = 512 * 1024 * 1024;

const MEBIBYTE = 1024 * 1024;

/** The fastest of these counts: other processes slow it down, nothing makes it faster. */
const RUNS = 2;

/** What this process does for a case: it reads a file, and writes one where the peer writes one. */
interface Job {
	name: string;
	input: string;
	output?: string;
	format?: EncryptionName;
	direction: 'encrypt' | 'decrypt' | 'hash';
	keys: EncryptionKeys;
}

interface Measured {
	seconds: number;
	mebibytes: number;
}

async function measure({ input, output, format, direction, keys }: Job): Promise<Measured> {
	const transform = async (warm: boolean) => {
		if (direction === 'hash' || !format) return new DigestStream();
		if (direction === 'encrypt' || warm) return (await encryptionEncoding(format, keys)).createTransform();
		return decryptor({ type: 'encryption', format }, keys);
	};
	// Loads what is loaded once, as a server has long done.
	const warm = await transform(true);
	warm.resume().end(Buffer.alloc(1000));
	await new Promise((resolve) => warm.on('end', resolve));
	global.gc?.();
	const before = process.memoryUsage().rss;
	let most = before;
	const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 50);
	const start = performance.now();
	const stream = chain(await openFile(input), [await transform(false)]);
	if (output) await writeInto(output, stream);
	else await readToEnd(stream);
	const seconds = (performance.now() - start) / 1000;
	clearInterval(watch);
	return { seconds, mebibytes: (most - before) / MEBIBYTE };
}

/** As backups are written, but that the peers, too, leave it to the system when the bytes reach the disk. */
async function writeInto(output: string, from: Readable): Promise<void> {
	await rm(output, { force: true });
	await pipeline(from, new FileWriter(output, { mode: 0o600, from, sync: false }));
}

async function timed(command: string, args: string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
	const start = performance.now();
	const child = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
	const status = await new Promise((resolve) => child.on('close', resolve));
	if (status !== 0) throw new Error(`${command} ended with status ${String(status)}`);
	return (performance.now() - start) / 1000;
}

/** Encryption of 512 MiB of random bytes, file to file, beside the standard commands. */
export async function bench(): Promise<void> {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-bench-'));
	const path = (name: string) => join(folder, name);
	const env = { ...process.env, GNUPGHOME: folder };
	try {
		await timed('sh', ['-c', `head -c ${SIZE} /dev/urandom > "$1"`, 'sh', path('data')]);
		const { identity, recipient } = await createAgeIdentity();
		await writeFile(path('identity'), identity);
		await writeFile(path('passphrase'), 'passphrase\n');
		const gpg = [
			'--batch',
			'--yes',
			'--quiet',
			'--pinentry-mode',
			'loopback',
			'--passphrase-file',
			path('passphrase'),
		];
		const age = { recipients: [recipient] };
		const keys = { identities: [identity], passphrase: 'passphrase' };
		const passphrase = { passphrase: 'passphrase' };
		const openssl = [
			'enc',
			'-aes-256-ctr',
			'-pbkdf2',
			'-iter',
			'600000',
			'-pass',
			`file:${path('passphrase')}`,
		];
		const cases: Array<[Job, limit: number, command: string, args: string[]]> = [
			[
				{
					name: 'age-encrypt',
					format: 'age',
					direction: 'encrypt',
					keys: age,
					input: 'data',
					output: 'ours.age',
				},
				1.2,
				'age',
				['-r', recipient, '-o', path('theirs.age'), path('data')],
			],
			[
				{ name: 'age-decrypt', format: 'age', direction: 'decrypt', keys, input: 'ours.age', output: 'out' },
				1.2,
				'age',
				['-d', '-i', path('identity'), '-o', path('out2'), path('theirs.age')],
			],
			[
				{
					name: 'aes-encrypt',
					format: 'aes-256-gcm',
					direction: 'encrypt',
					keys: passphrase,
					input: 'data',
					output: 'ours.aes',
				},
				1.2,
				'openssl',
				[...openssl, '-in', path('data'), '-out', path('theirs.aes')],
			],
			[
				{
					name: 'aes-decrypt',
					format: 'aes-256-gcm',
					direction: 'decrypt',
					keys,
					input: 'ours.aes',
					output: 'out',
				},
				1.2,
				'openssl',
				[...openssl, '-d', '-in', path('theirs.aes'), '-out', path('out2')],
			],
			[
				{
					name: 'openpgp-encrypt',
					format: 'openpgp',
					direction: 'encrypt',
					keys: passphrase,
					input: 'data',
					output: 'ours.gpg',
				},
				1.5,
				'gpg',
				[...gpg, '-z', '0', '--cipher-algo', 'AES256', '-c', '-o', path('theirs.gpg'), path('data')],
			],
			[
				{
					name: 'openpgp-decrypt',
					format: 'openpgp',
					direction: 'decrypt',
					keys,
					input: 'ours.gpg',
					output: 'out',
				},
				1.5,
				'gpg',
				[...gpg, '-d', '-o', path('out2'), path('theirs.gpg')],
			],
			[{ name: 'sha256', direction: 'hash', keys: {}, input: 'data' }, 1.1, 'sha256sum', [path('data')]],
		];
		const rows = [];
		for (const [job, limit, command, args] of cases) {
			const whole = { ...job, input: path(job.input), ...(job.output && { output: path(job.output) }) };
			const ours: Measured[] = [];
			const theirs: number[] = [];
			for (let run = 0; run < RUNS; run++) {
				theirs.push(await timed(command, args, env));
				const child = spawnSync(
					process.execPath,
					['--expose-gc', '--import', 'tsx', __filename, JSON.stringify(whole)],
					{
						encoding: 'utf8',
					},
				);
				if (child.status !== 0) throw new Error(child.stderr);
				ours.push(JSON.parse(child.stdout) as Measured);
			}
			rows.push({
				name: job.name,
				limit,
				seconds: Math.min(...ours.map((run) => run.seconds)),
				peer: Math.min(...theirs),
				mebibytes: Math.min(...ours.map((run) => run.mebibytes)),
			});
		}
		console.log(
			`Encryption of ${(await stat(path('data'))).size / MEBIBYTE} MiB of random bytes, beside the standard commands`,
		);
		console.table(
			rows.map(({ name, seconds, peer, mebibytes }) => ({
				name,
				seconds: seconds.toFixed(2),
				'peer seconds': peer.toFixed(2),
				'MiB more': Math.round(mebibytes),
			})),
		);
		for (const { name, limit, seconds, peer } of rows) {
			console.log(`encryption-${name} ratio=${(seconds / peer).toFixed(2)} limit=${limit}`);
		}
		for (const { name, mebibytes } of rows) {
			console.log(`encryption-${name}-memory ratio=${(mebibytes / 60).toFixed(2)} limit=1`);
		}
	} finally {
		spawnSync('gpgconf', ['--kill', 'all'], { env });
		await rm(folder, { recursive: true, force: true });
	}
}

if (require.main === module) {
	measure(JSON.parse(process.argv[2]!) as Job).then(
		(measured) => process.stdout.write(JSON.stringify(measured)),
		(error: Error) => {
			console.error(error.message);
			process.exitCode = 1;
		},
	);
}
