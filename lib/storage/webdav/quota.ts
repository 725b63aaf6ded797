import { hasStatus } from './errors';
import { sendForText } from './exchange';
import type { WebDavTarget } from './target';

const question = Buffer.from(
	'<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop>' +
		'<quota-available-bytes/><quota-used-bytes/></prop></propfind>',
);

/** What a server tells of the room for a user (RFC 4331), in bytes. */
export interface Quota {
	available: number;
	used?: number;
}

/**
 * How much may still be written to a folder; nothing where the server doesn't tell, or says that there is no limit (Nextcloud: a negative
 * number).
 *
 * @param path of a folder, or empty. @throws StatusError, or what happened on the network.
 */
export async function quotaOf(
	target: WebDavTarget,
	path: string,
	signal?: AbortSignal,
): Promise<Quota | undefined> {
	const headers = {
		depth: '0',
		'content-type': 'application/xml; charset=utf-8',
		'content-length': question.length,
	};
	const answer = await sendForText(target, 'PROPFIND', path, { headers, body: question, signal });
	const available = numberIn(answer.text, 'quota-available-bytes');
	const used = numberIn(answer.text, 'quota-used-bytes');
	return available === undefined ? undefined : { available, ...(used !== undefined && { used }) };
}

/** As `quotaOf` of a folder that may not have been made yet: of the address then, below which it would be. */
export async function quotaBelow(
	target: WebDavTarget,
	path: string,
	signal?: AbortSignal,
): Promise<Quota | undefined> {
	try {
		return await quotaOf(target, path, signal);
	} catch (error) {
		if (path === '' || !hasStatus(error, 404)) throw error;
		return await quotaOf(target, '', signal);
	}
}

/** The number in an element, whatever prefix its name has: there is nothing in it that XML could have escaped. */
function numberIn(xml: string, name: string): number | undefined {
	const match = new RegExp(`<(?:[\\w.-]+:)?${name}(?:\\s[^>]*)?>\\s*(\\d+)\\s*<`).exec(xml);
	const value = Number(match?.[1]);
	return Number.isSafeInteger(value) ? value : undefined;
}
