import { FileType, type Client, type FileInfo } from 'basic-ftp';

import { LifeboatError } from '../../errors';

import { isUnknownCommand } from './errors';
import { parseFacts, type Facts } from './facts';

/** What a list made for human eyes tells: a name that may be another one. */
export interface Guess {
	name: string;
	isFolder: boolean;
}

/** Asks for the lists of folders, and reads them: each line of them, or it fails. */
export class Listing {
	/** The commands that the server may know; the first is tried first. */
	private commands = ['LIST -a', 'LIST'];

	private answer = '';

	private lastReply = '';

	private readonly parse: (line: string) => FileInfo[];

	constructor(private readonly client: Client) {
		this.parse = client.parseList;
		client.parseList = (answer) => {
			this.answer = answer;
			return [];
		};
		client.ftp.log = (message) => {
			if (message.startsWith('< ')) this.lastReply = message;
		};
	}

	/** What lies in the folder that was entered (RFC 3659, 7). */
	async facts(): Promise<Facts[]> {
		return linesOf(await this.ask('MLSD')).map((line) => parseFacts(line) ?? unreadable(line));
	}

	/** The same, of a server that doesn't know MLSD. */
	async guesses(): Promise<Guess[]> {
		for (const command of this.commands) {
			let answer: string;
			try {
				answer = await this.ask(command);
			} catch (error) {
				if (command === this.commands.at(-1) || !isUnknownCommand(error)) throw error;
				continue;
			}
			// A list with hidden files has at least two lines, `.` and `..`; servers that don't know the option look for a file of that name.
			if (answer === '' && command !== this.commands.at(-1)) continue;
			this.commands = [command];
			return linesOf(answer).flatMap((line) => this.guess(line));
		}
		return [];
	}

	private guess(line: string): Guess[] {
		if (/^total\b/.test(line)) return [];
		let entries: FileInfo[];
		try {
			entries = this.parse(line);
		} catch {
			return [unreadable(line)];
		}
		return entries.flatMap(({ name, type }) => {
			if (type === FileType.SymbolicLink) return [];
			if (type !== FileType.Unknown) return [{ name, isFolder: type === FileType.Directory }];
			// Pipes, sockets and devices.
			return /^[\s\d]*[bcmps]/i.test(line) ? [] : [unreadable(line)];
		});
	}

	/**
	 * The library would go on to another command if one fails, whatever the reason is, and have its answer read as if it were that to the
	 * first.
	 */
	private async ask(command: string): Promise<string> {
		this.client.availableListCommands = [command];
		this.answer = '';
		await this.client.list();
		// What vsftpd says at the end of an empty list.
		if (/^226[^\r\n]*failed to open/im.test(this.lastReply.slice(2))) {
			throw new LifeboatError(
				'ACCESS_DENIED',
				`The server could not list a folder: ${replyText(this.lastReply)}`,
				{
					hint: 'Give the user of the credential permission to read that folder, or choose another one',
				},
			);
		}
		return this.answer;
	}
}

/** What to throw for a folder that is there, but closed. */
export function forbidden(folder: string): LifeboatError {
	return new LifeboatError('ACCESS_DENIED', `The user may not enter ${folder} on the FTP server`, {
		hint: 'Give the user of the credential permission for it on the server, or choose another folder',
	});
}

/** What to throw for a file that is listed, but not found by that name. */
export function ambiguous(path: string): LifeboatError {
	return new LifeboatError(
		'STORAGE_FAILED',
		`The server lists ${JSON.stringify(path)}, but has no such file`,
		{
			hint: 'It does not know MLSD, and its list can not be told apart from names with spaces or arrows. Rename that file, or use SFTP or a server that knows MLSD',
		},
	);
}

function linesOf(answer: string): string[] {
	return answer.split(/\r?\n/).filter((line) => line.trim() !== '');
}

function replyText(logged: string): string {
	return logged.slice(2).trim().split(/\s+/).join(' ');
}

function unreadable(line: string): never {
	throw new LifeboatError(
		'STORAGE_FAILED',
		`The server lists what can not be read: ${JSON.stringify(line)}`,
		{
			hint: 'Rename that file, or use SFTP: with a line left out, a backup could be overlooked',
		},
	);
}
