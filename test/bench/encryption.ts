import { spawn, spawnSync } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
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

const SIZE = 1024 * 1024 * 1024;

const MEBIBYTE = 1024 * 1024;

/** The fastest of these counts: other processes slow it down, nothing makes it faster. */
const RUNS = 5;

/** What this process does for a case: it reads a file, and writes one where the peer writes one. */
interface Job {
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
	const last = `${output}.last`;
	if (existsSync(output)) renameSync(output, last);
	// Gone only when the first byte is written: where fresh memory is dear, a case that reads for long before it writes finds that of its last file, too.
	from.once('data', () => rmSync(last, { force: true }));
	await pipeline(from, new FileWriter(output, { mode: 0o600, from, sync: false }));
}

async function timed(command: string, args: string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
	const start = performance.now();
	const child = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
	const status = await new Promise((resolve) => child.on('close', resolve));
	if (status !== 0) throw new Error(`${command} ended with status ${String(status)}`);
	return (performance.now() - start) / 1000;
}

/** One line of the table: what this process does, and the command that does the same. */
interface Case {
	job: Job;
	limit: number;
	command: string;
	args: string[];
	/** What the command writes. */
	theirs?: string;
}

async function measureBoth({ job, command, args, theirs }: Case, env: NodeJS.ProcessEnv) {
	const ours: Measured[] = [];
	const peer: number[] = [];
	for (let run = 0; run < RUNS; run++) {
		// Both write new files, into the memory that their own last ones have just left: where fresh memory is dear, nobody pays for the other.
		if (theirs) await rm(theirs, { force: true });
		peer.push(await timed(command, args, env));
		const child = spawnSync(
			process.execPath,
			['--expose-gc', '--import', 'tsx', __filename, JSON.stringify(job)],
			{ encoding: 'utf8' },
		);
		if (child.status !== 0) throw new Error(child.stderr);
		ours.push(JSON.parse(child.stdout) as Measured);
	}
	return {
		seconds: Math.min(...ours.map((run) => run.seconds)),
		peer: Math.min(...peer),
		mebibytes: Math.max(...ours.map((run) => run.mebibytes)),
	};
}

/** Encrypting and decrypting in one format, each with its limit. */
interface Format {
	name: string;
	format: EncryptionName;
	limit: number;
	encrypt: EncryptionKeys;
	decrypt: EncryptionKeys;
	command: string;
	/** The command's arguments, given paths. */
	encryptArgs: (from: string, to: string) => string[];
	decryptArgs: (from: string, to: string) => string[];
}

async function formatsIn(folder: string): Promise<Format[]> {
	const { identity, recipient } = await createAgeIdentity();
	const [identityFile, passphraseFile] = [join(folder, 'identity'), join(folder, 'passphrase')];
	await writeFile(identityFile, identity);
	await writeFile(passphraseFile, 'passphrase\n');
	const passphrase = { passphrase: 'passphrase' };
	const openssl = ['enc', '-aes-256-ctr', '-pbkdf2', '-iter', '600000', '-pass', `file:${passphraseFile}`];
	const gpg = [
		'--batch',
		'--yes',
		'--quiet',
		'--pinentry-mode',
		'loopback',
		'--passphrase-file',
		passphraseFile,
	];
	return [
		{
			...{ name: 'age', format: 'age', limit: 1.2, command: 'age' },
			encrypt: { recipients: [recipient] },
			decrypt: { identities: [identity], ...passphrase },
			encryptArgs: (from, to) => ['-r', recipient, '-o', to, from],
			decryptArgs: (from, to) => ['-d', '-i', identityFile, '-o', to, from],
		},
		{
			...{ name: 'aes', format: 'aes-256-gcm', limit: 1.2, command: 'openssl' },
			...{ encrypt: passphrase, decrypt: passphrase },
			encryptArgs: (from, to) => [...openssl, '-in', from, '-out', to],
			decryptArgs: (from, to) => [...openssl, '-d', '-in', from, '-out', to],
		},
		{
			...{ name: 'openpgp', format: 'openpgp', limit: 1.5, command: 'gpg' },
			...{ encrypt: passphrase, decrypt: passphrase },
			encryptArgs: (from, to) => [...gpg, '-z', '0', '--cipher-algo', 'AES256', '-c', '-o', to, from],
			decryptArgs: (from, to) => [...gpg, '-d', '-o', to, from],
		},
	];
}

/** Encryption of 1 GiB of random bytes, file to file, beside the standard commands. */
export async function bench(): Promise<void> {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-bench-'));
	const path = (name: string) => join(folder, name);
	const env = { ...process.env, GNUPGHOME: folder };
	const rows: Array<{ name: string; limit: number; seconds: number; peer: number; mebibytes: number }> = [];
	const add = async (name: string, each: Case) => {
		rows.push({ name, limit: each.limit, ...(await measureBoth(each, env)) });
	};
	const data = path('data');
	try {
		await timed('sh', ['-c', `head -c ${SIZE} /dev/urandom > "$1"`, 'sh', data]);
		for (const { name, format, limit, encrypt, decrypt, command, ...args } of await formatsIn(folder)) {
			const [ours, theirs, opened, theirsOpened] = ['ours', 'theirs', 'opened', 'theirs-opened'].map(
				path,
			) as [string, string, string, string];
			const common = { limit, command };
			await add(`${name}-encrypt`, {
				...common,
				job: { format, direction: 'encrypt', keys: encrypt, input: data, output: ours },
				...{ args: args.encryptArgs(data, theirs), theirs },
			});
			await add(`${name}-decrypt`, {
				...common,
				job: { format, direction: 'decrypt', keys: decrypt, input: ours, output: opened },
				...{ args: args.decryptArgs(theirs, theirsOpened), theirs: theirsOpened },
			});
			for (const file of [ours, theirs, opened, theirsOpened]) await rm(file);
		}
		const hash: Job = { direction: 'hash', keys: {}, input: data };
		await add('sha256', { job: hash, limit: 1.1, command: 'sha256sum', args: [data] });
		console.log(`Encryption of ${SIZE / MEBIBYTE} MiB of random bytes, beside the standard commands`);
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
