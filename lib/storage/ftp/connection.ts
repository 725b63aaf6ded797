import type { Client } from 'basic-ftp';
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { isUnknownCommand, replyOf } from './errors';
import { parseFacts, parseTime, type Facts } from './facts';
import { ambiguous, forbidden, Listing } from './listing';
import { login } from './login';
import type { FtpSettings } from './settings';

/** Milliseconds before the end of an empty file. */
const emptyPause = 100;

/** One logged in connection. It does one thing at a time. */
export class FtpConnection {
	private readonly listing: Listing;

	private constructor(
		private readonly client: Client,
		/** The folder that the login begins in. */
		readonly home: string,
		/** Whether the server tells facts that a program can rely on (RFC 3659). */
		private readonly hasFacts: boolean,
	) {
		this.listing = new Listing(client);
	}

	/** @throws as `login`. */
	static async open(settings: FtpSettings, timeout: number, signal?: AbortSignal): Promise<FtpConnection> {
		return await login(settings, timeout, signal, async (client) => {
			const hasFacts = (await client.features()).has('MLST');
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

	/**
	 * All that lies in a folder; nothing if it isn't there.
	 *
	 * @throws LifeboatError `ACCESS_DENIED`, `STORAGE_FAILED` rather than to leave something out.
	 */
	async list(folder: string): Promise<Facts[]> {
		if (!(await this.enter(folder))) {
			// Some servers answer alike for a folder that is missing and one that is forbidden.
			if (await this.isListed(folder)) throw forbidden(folder);
			return [];
		}
		if (this.hasFacts) return await this.listing.facts();
		const found: Facts[] = [];
		const missing: string[] = [];
		for (const { name, isFolder } of await this.listing.guesses()) {
			if (isFolder) {
				found.push({ name, size: NaN, modifiedAt: new Date(0), version: '', kind: 'folder' });
				continue;
			}
			// A list made for human eyes: only a file that answers to its name has really got this name.
			const facts = await this.look(`${folder}/${name}`);
			if (facts) found.push({ ...facts, name });
			else missing.push(name);
		}
		if (missing.length === 0) return found;
		// What was removed meanwhile is not listed any more.
		const still = new Set((await this.listing.guesses()).map(({ name }) => name));
		const ambiguousName = missing.find((name) => still.has(name));
		if (ambiguousName !== undefined) throw ambiguous(`${folder}/${ambiguousName}`);
		return found;
	}

	/** Whether a folder that can't be entered is there all the same, by what the one above it shows. */
	private async isListed(folder: string): Promise<boolean> {
		if (folder === '') return true;
		if (this.hasFacts) return !['file', undefined].includes((await this.look(folder))?.kind);
		const slash = folder.lastIndexOf('/');
		const parent = folder.slice(0, slash);
		if (!(await this.enter(parent))) return await this.isListed(parent);
		const name = folder.slice(slash + 1);
		return (await this.listing.guesses()).some((guess) => guess.isFolder && guess.name === name);
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
