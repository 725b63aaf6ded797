import type { IncomingMessage } from 'node:http';

import {
	createDigestContext,
	generateDigestAuthHeader,
	parseDigestAuth,
} from 'webdav/dist/node/auth/digest.js';

/**
 * Answers what the server asks for. Nothing is sent before it has asked, so that a server that takes Digest never sees the
 * password itself.
 */
export class Login {
	private readonly digest: ReturnType<typeof createDigestContext>;

	private scheme: 'basic' | 'digest' | undefined;

	constructor(
		private readonly user: string,
		private readonly password: string,
	) {
		this.digest = createDigestContext(user, password, undefined as unknown as string);
	}

	/** The `Authorization` of a request, if the server has asked for one. */
	header(method: string, url: URL): string | undefined {
		if (this.scheme === 'digest') {
			const header = generateDigestAuthHeader({ method, url: url.href }, this.digest);
			this.digest.nc += 1;
			return header;
		}
		if (this.scheme === undefined) return undefined;
		return `Basic ${Buffer.from(`${this.user}:${this.password}`).toString('base64')}`;
	}

	/**
	 * Learns from a 401 what the server asks for.
	 *
	 * @param sent the `Authorization` that was refused.
	 * @returns whether the request has a chance if it is sent again.
	 */
	learn(answer: IncomingMessage, sent: string | undefined): boolean {
		if (this.user === '') return false;
		const asked = answer.headersDistinct['www-authenticate'] ?? [];
		const digest = asked.find(
			(challenge) => /^digest\b/i.test(challenge) && !/algorithm="?sha/i.test(challenge),
		);
		if (digest) {
			// The same again means that the password is wrong, unless only the server's number has grown old.
			if (sent?.startsWith('Digest') && !/stale="?true/i.test(digest)) return false;
			this.digest.nc = 0;
			const headers = new Headers({ 'www-authenticate': digest });
			parseDigestAuth(new Response(null, { headers }), this.digest);
			this.scheme = 'digest';
			return true;
		}
		if (sent !== undefined || !asked.some((challenge) => /(^|,\s*)basic\b/i.test(challenge))) return false;
		this.scheme = 'basic';
		return true;
	}
}
