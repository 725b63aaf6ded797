import { FileType, type Client } from 'basic-ftp';
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../../errors';

import { isUnknownCommand, replyOf } from './errors';
import { parseFacts, parseMlsd, parseTime, type Facts } from './facts';
import { login } from './login';
import type { FtpSettings } from './settings';

/** Milliseconds before the end of an empty file. */
const emptyPause = 100;

/** One logged in connection. It does one thing at a time. */
export class FtpConnection {
	private constructor(
		private readonly client: Client,
		/** The folder that the login begins in. */
		readonly home: string,
		/** Whether the server tells facts that a program can rely on (RFC 3659). */
		private readonly hasFacts: boolean,
	) {}

	/** @throws as `login`. */
	static async open(settings: FtpSettings, timeout: number): Promise<FtpConnection> {
		return await login(settings, timeout, async (client) => {
			const hasFacts = (await client.features()).has('MLST');
			if (hasFacts) client.parseList = parseMlsd;
			return new FtpConnection(client, await client.pwd(), hasFacts);
		});
	}

	get alive(): boolean {
		return !this.client.closed;
	}

	/** Ends it at once, with all that is under way. */
	close(): void {
		this.client.close();
	}

	/** What lies at a path, if anything. */
	async look(path: string): Promise<Facts | undefined> {
		try {
			if (!this.hasFacts) return await this.sizeAndTime(path);
			const { message } = await this.client.send(`MLST ${path}`);
			const facts = message
				.split(/\r?\n/)
				.slice(1, -1)
				.map((line) => parseFacts(line.replace(/^ /, '')))
				.find((each) => each !== undefined);
			if (facts) return facts;
			throw new Error(`MLST was answered with ${message}`);
		} catch (error) {
			if (isMissing(error)) return undefined;
			throw error;
		}
	}

	/** All that lies in a folder; nothing if it isn't there. */
	async list(folder: string): Promise<Facts[]> {
		if (!(await this.enter(folder))) return [];
		const entries = await this.client.list();
		if (this.hasFacts) {
			return entries.map((entry) => parseFacts(entry.rawModifiedAt)).filter((facts) => facts !== undefined);
		}
		const found: Facts[] = [];
		for (const { name, type } of entries) {
			const path = `${folder}/${name}`;
			const unknown = { name, size: NaN, modifiedAt: new Date(0), version: '' };
			if (type === FileType.Directory) found.push({ ...unknown, kind: 'folder' });
			else if (type === FileType.File) {
				// A list made for human eyes: only a file that answers to its name has really got this name.
				const facts = await this.look(path);
				if (!facts) throw ambiguous(path);
				found.push({ ...facts, name });
			}
		}
		return found;
	}

	/** Whether a folder is there. */
	async enter(folder: string): Promise<boolean> {
		try {
			await this.client.send(`CWD ${folder === '' ? '/' : folder}`);
			return true;
		} catch (error) {
			if (isMissing(error)) return false;
			throw error;
		}
	}

	async store(path: string, source: Readable): Promise<void> {
		const { hasTLS } = this.client.ftp;
		async function* patient(): AsyncGenerator<Buffer> {
			let empty = true;
			for await (const chunk of source as AsyncIterable<Buffer>) {
				empty = false;
				yield chunk;
			}
			// A TLS connection that ends before the server has seen the end of the handshake spoils it.
			if (empty && hasTLS) await sleep(emptyPause);
		}
		await this.client.uploadFrom(Readable.from(patient(), { objectMode: false }), path);
	}

	/** The bytes from a position on. Whoever doesn't read them to their end destroys the stream, and with it the connection. */
	read(path: string, start: number, done: () => void): Readable {
		const body = new PassThrough({ highWaterMark: 256 * 1024 });
		this.client.downloadTo(body, path, start).then(done, (error: Error) => {
			this.close();
			done();
			body.destroy(error);
		});
		// The library only notices an end of its own.
		body.once('close', () => {
			if (!body.readableEnded) this.close();
		});
		return body;
	}

	async rename(from: string, to: string): Promise<void> {
		await this.client.send(`RNFR ${from}`);
		await this.client.send(`RNTO ${to}`);
	}

	/** One that isn't there is no error. */
	async remove(path: string): Promise<void> {
		try {
			await this.client.send(`DELE ${path}`);
		} catch (error) {
			if (!isMissing(error) || (await this.look(path))) throw error;
		}
	}

	async makeFolder(path: string): Promise<void> {
		await this.client.send(`MKD ${path}`);
	}

	async removeFolder(path: string): Promise<void> {
		await this.client.send(`RMD ${path}`);
	}

	/** For servers without MLST. A folder has no size. */
	private async sizeAndTime(path: string): Promise<Facts> {
		const size = await this.client.size(path);
		let time = '';
		try {
			time = (await this.client.send(`MDTM ${path}`)).message.slice(4).trim();
		} catch (error) {
			if (!isUnknownCommand(error)) throw error;
		}
		const name = path.slice(path.lastIndexOf('/') + 1);
		return {
			name,
			kind: 'file',
			size,
			modifiedAt: parseTime(time) ?? new Date(0),
			version: `${size}-${time}`,
		};
	}
}

/** Servers say 550 for all that can't be done with a path: only their words tell a missing one from a forbidden one. */
function isMissing(error: unknown): boolean {
	if (replyOf(error) !== 550 && replyOf(error) !== 450) return false;
	return !/permission|denied|not permitted|access|too long/i.test((error as Error).message);
}

function ambiguous(path: string): LifeboatError {
	return new LifeboatError(
		'STORAGE_FAILED',
		`The server lists ${JSON.stringify(path)}, but has no such file`,
		{
			hint: 'It does not know MLSD, and its list can not be told apart from names with spaces or arrows. Rename that file, or use SFTP or a server that knows MLSD',
		},
	);
}
