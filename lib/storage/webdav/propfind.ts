import { parseXML } from 'webdav';

import { LifeboatError } from '../../errors';

import { hasStatus, StatusError } from './errors';
import { sendForText } from './exchange';
import type { WebDavTarget } from './target';

/** What a server tells of a file or folder. */
export interface WebDavEntry {
	name: string;
	isFolder: boolean;
	/** Bytes; 0 for folders. */
	size: number;
	modifiedAt: Date;
	/** The ETag without its decoration, or what stands for it on servers that don't tell it. */
	version: string;
	/** The server tells no ETag: what was written within the same second, with the same size, looks the same. */
	versionBySecond: boolean;
}

const question = Buffer.from(
	'<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop>' +
		'<resourcetype/><getcontentlength/><getlastmodified/><getetag/></prop></propfind>',
);

/** What lies at a path; nothing if it isn't there. */
export async function lookUp(
	target: WebDavTarget,
	path: string,
	signal?: AbortSignal,
): Promise<WebDavEntry | undefined> {
	let entries;
	try {
		entries = await propfind(target, path, '0', signal);
	} catch (error) {
		// Some servers send on from a folder's path without / to that with it.
		const location = error instanceof StatusError ? error.location : undefined;
		if (location === undefined || !URL.parse(location, target.base.href)?.pathname.endsWith('/')) throw error;
		entries = await propfind(target, `${path}/`, '0', signal);
	}
	return entries?.[0];
}

/**
 * What lies in a folder, in no order; nothing if the folder isn't there. One request, whose answer is held whole: servers refuse to
 * list more than one level, and WebDAV knows no pages.
 */
export async function readFolder(
	target: WebDavTarget,
	path: string,
	signal?: AbortSignal,
): Promise<WebDavEntry[] | undefined> {
	const [folder, ...entries] = (await propfind(target, path, '1', signal)) ?? [];
	if (!folder) return undefined;
	// A list without the folder itself would lose its only entry here. What the address is called a proxy may have changed.
	const name = path.replace(/\/$/, '').split('/').at(-1)!;
	if (name !== '' && folded(name) !== folded(folder.name))
		throw notWebDav(target, 'its list lacks the folder');
	return folder.isFolder ? entries : undefined;
}

async function propfind(
	target: WebDavTarget,
	path: string,
	depth: '0' | '1',
	signal: AbortSignal | undefined,
): Promise<WebDavEntry[] | undefined> {
	const headers = {
		depth,
		'content-type': 'application/xml; charset=utf-8',
		'content-length': question.length,
	};
	let answer: { status: number; text: string };
	try {
		answer = await sendForText(target, 'PROPFIND', path, { headers, body: question, signal });
	} catch (error) {
		if (hasStatus(error, 404)) return undefined;
		throw error;
	}
	if (answer.status !== 207) throw notWebDav(target, `it answered ${answer.status}`);
	return inOrder(target, await parse(target, answer.text));
}

/** A parsed `response` with what was asked for; any of it may be missing or be something else. */
interface Response {
	href?: unknown;
	propstat?: {
		prop?: {
			resourcetype?: unknown;
			getcontentlength?: unknown;
			getlastmodified?: unknown;
			getetag?: unknown;
		};
	};
}

/** Names that some servers take for one. */
const folded = (name: string) => name.normalize('NFC').toLowerCase();

async function parse(target: WebDavTarget, text: string): Promise<Response[]> {
	// No answer needs one, and its entities can make a few bytes into gigabytes.
	if (text.includes('<!DOCTYPE')) throw notWebDav(target, 'its answer declares a document type');
	try {
		const context = {
			...{ attributeNamePrefix: '@', attributeParsers: [], tagParsers: [] },
			// Without it only 1,000 entities are taken, and each & in a name is one.
			entityDecoder: {},
		};
		return (await parseXML(text, context)).multistatus.response;
	} catch (error) {
		throw notWebDav(target, 'its answer is not what WebDAV asks for', error);
	}
}

/** The entries, that of the folder itself first. */
function inOrder(target: WebDavTarget, responses: Response[]): WebDavEntry[] {
	const found: Array<{ path: string; response: Response }> = [];
	for (const response of responses) {
		const path = pathOf(target, response.href);
		// A name that isn't UTF-8 belongs to no key.
		if (path !== undefined) found.push({ path, response });
	}
	// Not compared with what was asked for: a proxy may have changed the path on its way.
	found.sort((a, b) => a.path.length - b.path.length);
	const parent = found[0] ? `${found[0].path}/` : '';
	return found.map(({ path, response }, index) => {
		const name = index === 0 ? path.slice(path.lastIndexOf('/') + 1) : path.slice(parent.length);
		const isName = !['', '.', '..'].includes(name) && !name.includes('/');
		if (index > 0 && (!path.startsWith(parent) || !isName)) {
			throw notWebDav(target, 'its list holds what does not lie in the folder');
		}
		return entryOf(target, name, response);
	});
}

/** The decoded path of a `href` (a path or a whole address), without `/` at its end. */
function pathOf(target: WebDavTarget, href: unknown): string | undefined {
	if (typeof href !== 'string') throw notWebDav(target, 'its answer names no path');
	const path = href.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, '').replace(/\/+$/, '');
	try {
		return decodeURIComponent(path);
	} catch {
		return undefined;
	}
}

function entryOf(target: WebDavTarget, name: string, { propstat }: Response): WebDavEntry {
	const prop = propstat?.prop ?? {};
	const { resourcetype, getcontentlength, getlastmodified, getetag } = prop;
	const isFolder = typeof resourcetype === 'object' && resourcetype !== null && 'collection' in resourcetype;
	const size = isFolder ? 0 : Number(getcontentlength === '' ? NaN : getcontentlength);
	if (!Number.isSafeInteger(size) || size < 0)
		throw notWebDav(target, `it does not tell the size of ${name}`);
	const modifiedAt = new Date(typeof getlastmodified === 'string' ? getlastmodified : 0);
	const etag = typeof getetag === 'string' || typeof getetag === 'number' ? plainETag(String(getetag)) : '';
	return {
		...{ name, isFolder, size },
		modifiedAt: Number.isNaN(modifiedAt.getTime()) ? new Date(0) : modifiedAt,
		version: etag || `${modifiedAt.getTime()}-${size}`,
		versionBySecond: etag === '',
	};
}

/** An ETag as it can be compared: some servers call it weak as long as the file is young. */
export function plainETag(etag: string): string {
	return etag.replace(/^W\//, '').replace(/^"(.*)"$/, '$1');
}

function notWebDav({ description }: WebDavTarget, why: string, cause?: unknown): LifeboatError {
	return new LifeboatError(
		'STORAGE_FAILED',
		`The server of ${description} does not speak WebDAV there: ${why}`,
		{
			hint: 'Check the path of the address; for a Nextcloud it is https://host/remote.php/dav/files/USER',
			cause,
		},
	);
}
