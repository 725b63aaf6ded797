import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';

import { LifeboatError } from '../../errors';
import { folderPrefix } from '../keys';

import { Login } from './login';
import type { WebDavSettings } from './settings';

/** One folder of a server, and the way to it. Paths begin at the address; those of folders end with `/`, or are empty. */
export interface WebDavTarget {
	/** The address in the settings. Always ends with `/`. */
	readonly base: URL;
	/** The path at which the keys begin: empty, or the folder in the settings with `/` at its end. */
	readonly root: string;
	/** `WebDAV folder backups at cloud.example.com`. */
	readonly description: string;
	readonly agent: HttpAgent;
	readonly login: Login;
	/** Milliseconds without a byte after which a connection counts as dead. */
	readonly timeout: number;
	/** Milliseconds for which an outage in the middle of a download is bridged. */
	readonly patience: number;
	/** Folders that were seen, so that not every upload asks for them again. */
	readonly knownFolders: Set<string>;
	/** A proxy ends TLS: the server behind it, told where to move something, takes addresses with http only. */
	endsTls?: boolean;
	/** Whether the server lists names that begin with a dot; asked for when it matters. */
	listsHidden?: boolean;
}

/** Opens no connection yet. @throws LifeboatError `INVALID_OPTION` for what is no address, `INVALID_KEY` for the folder. */
export function webDavTarget(settings: WebDavSettings): WebDavTarget {
	const base = parseAddress(settings.url);
	const root = folderPrefix(settings.folder);
	const { ca, ignoreTlsErrors, user = '', password = '' } = settings;
	const agent = { keepAlive: true, maxSockets: 32 };
	return {
		...{ base, root },
		description: `WebDAV folder ${root.slice(0, -1) || base.pathname} at ${base.host}`,
		agent:
			base.protocol === 'https:'
				? new HttpsAgent({ ...agent, ...(ca && { ca }), rejectUnauthorized: !ignoreTlsErrors })
				: new HttpAgent(agent),
		login: new Login(user, password),
		timeout: settings.timeout ?? 60_000,
		patience: settings.patience ?? 120_000,
		knownFolders: new Set(),
	};
}

/** The address of a path. */
export function addressOf({ base }: WebDavTarget, path: string): URL {
	return new URL(base.href + path.split('/').map(encodeURIComponent).join('/'));
}

function parseAddress(text: string): URL {
	const url = URL.parse(text.trim());
	if (url && ['http:', 'https:'].includes(url.protocol) && url.username === '' && url.password === '') {
		const { origin, pathname } = url;
		return new URL(`${origin}${pathname.replace(/\/+$/, '')}/`);
	}
	throw new LifeboatError('INVALID_OPTION', 'The WebDAV URL is not an address', {
		hint: 'Give it as https://host/path, with user and password in their own fields',
	});
}
