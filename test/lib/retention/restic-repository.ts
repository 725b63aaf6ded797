import { execFile } from 'node:child_process';
import { createCipheriv, createHash, randomBytes, scryptSync } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A snapshot as far as `restic forget` looks at it. */
export interface Snapshot {
	host: string;
	/** RFC 3339 with the offset that its zone had then: restic takes the time for a local one only if the offset fits. */
	time: string;
	tags?: string[];
}

export interface ForgetGroup {
	host: string;
	/** Times, as they were given, newest first. */
	keep: string[];
	remove: string[];
}

const PASSWORD = 'oracle';

interface Key {
	encrypt: Buffer;
	macK: Buffer;
	macR: Buffer;
}

/**
 * A repository of restic's format 1 with nothing in it but snapshots of made-up times, written by hand (restic's
 * "design.rst": repository layout, keys, encryption): `restic backup` takes half a second for each snapshot, and its own key
 * half a second for each command.
 */
export class ResticRepository {
	private constructor(private readonly folder: string) {}

	static async create(snapshots: readonly Snapshot[]): Promise<ResticRepository> {
		const folder = await mkdtemp(join(tmpdir(), 'lifeboat-restic-'));
		for (const name of ['data', 'index', 'keys', 'locks', 'snapshots']) await mkdir(join(folder, name));
		const master = newKey(randomBytes(64));
		const salt = randomBytes(64);
		const [N, r, p] = [1024, 8, 1];
		const user = newKey(scryptSync(PASSWORD, salt, 64, { N, r, p }));
		await writeNamed(join(folder, 'keys'), {
			...{ created: '2020-01-01T00:00:00Z', username: 'test', hostname: 'test', kdf: 'scrypt' },
			...{ N, r, p, salt: salt.toString('base64') },
			data: encrypt(user, {
				mac: { k: master.macK.toString('base64'), r: master.macR.toString('base64') },
				encrypt: master.encrypt.toString('base64'),
			}).toString('base64'),
		});
		const config = { version: 1, id: randomBytes(32).toString('hex'), chunker_polynomial: '25b468838dcb75' };
		await writeFile(join(folder, 'config'), encrypt(master, config));
		for (const { host, time, tags } of snapshots) {
			const tree = randomBytes(32).toString('hex');
			await writeNamed(
				join(folder, 'snapshots'),
				encrypt(master, {
					time,
					tree,
					paths: ['/data'],
					hostname: host,
					username: 'test',
					...(tags && { tags }),
				}),
			);
		}
		return new ResticRepository(folder);
	}

	/** What `restic forget --dry-run` would keep and remove of each host's snapshots. */
	async forget(args: readonly string[], zone: string): Promise<ForgetGroup[]> {
		const { stdout } = await promisify(execFile)(
			'restic',
			['forget', '--dry-run', '--json', '--no-lock', '--no-cache', '--group-by', 'host', ...args],
			{
				env: {
					...{ PATH: process.env['PATH'], HOME: this.folder, TZ: zone },
					...{ RESTIC_REPOSITORY: this.folder, RESTIC_PASSWORD: PASSWORD },
				},
				maxBuffer: 64 * 1024 * 1024,
			},
		);
		type Listed = Array<{ time: string }> | null;
		const times = (listed: Listed) => (listed ?? []).map(({ time }) => time);
		return (JSON.parse(stdout) as Array<{ host: string; keep: Listed; remove: Listed }>).map((group) => ({
			host: group.host,
			keep: times(group.keep),
			remove: times(group.remove),
		}));
	}

	async remove(): Promise<void> {
		await rm(this.folder, { recursive: true });
	}
}

function newKey(bytes: Buffer): Key {
	return { encrypt: bytes.subarray(0, 32), macK: bytes.subarray(32, 48), macR: bytes.subarray(48, 64) };
}

/** Nonce, AES-256-CTR, Poly1305-AES. */
function encrypt(key: Key, value: unknown): Buffer {
	const nonce = randomBytes(16);
	const cipher = createCipheriv('aes-256-ctr', key.encrypt, nonce);
	const text = Buffer.concat([cipher.update(JSON.stringify(value)), cipher.final()]);
	const block = createCipheriv('aes-128-ecb', key.macK, null).setAutoPadding(false);
	return Buffer.concat([nonce, text, poly1305(text, key.macR, block.update(nonce))]);
}

/** D. J. Bernstein, "The Poly1305-AES message-authentication code". */
function poly1305(message: Buffer, r: Buffer, s: Buffer): Buffer {
	const littleEndian = (bytes: Buffer) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
	const clamped = littleEndian(r) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
	let sum = 0n;
	for (let at = 0; at < message.length; at += 16) {
		const chunk = Buffer.concat([message.subarray(at, at + 16), Buffer.of(1)]);
		sum = ((sum + littleEndian(chunk)) * clamped) % (2n ** 130n - 5n);
	}
	const tag = (sum + littleEndian(s)) % 2n ** 128n;
	return Buffer.from(tag.toString(16).padStart(32, '0'), 'hex').reverse();
}

/** Files are named by the SHA-256 of their content. */
async function writeNamed(folder: string, content: Buffer | object): Promise<void> {
	const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
	await writeFile(join(folder, createHash('sha256').update(bytes).digest('hex')), bytes);
}
