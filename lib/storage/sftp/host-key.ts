import { createHash } from 'node:crypto';

import { LifeboatError } from '../../errors';

/** The fingerprint of a host key as `ssh-keygen -l` prints it. */
export function fingerprintOf(hostKey: Buffer): string {
	return `SHA256:${createHash('sha256').update(hostKey).digest('base64').replace(/=+$/, '')}`;
}

/**
 * The fingerprints in what an operator gave: one or more, also whole lines of `ssh-keygen -l`. None for an empty text.
 *
 * @throws LifeboatError `INVALID_OPTION`.
 */
export function parseFingerprints(text = ''): string[] {
	if (text.trim() === '') return [];
	const bare = /^[A-Za-z0-9+/]{43}=?$/.test(text.trim()) ? `SHA256:${text.trim()}` : text;
	const found = [...bare.matchAll(/SHA256:([A-Za-z0-9+/]{43})=?(?![A-Za-z0-9+/])/g)].map(
		([, hash]) => `SHA256:${hash}`,
	);
	if (found.length > 0) return found;
	throw new LifeboatError('INVALID_OPTION', 'The host key fingerprint is none', {
		hint: 'Give it as SHA256:... On the server, ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub prints it',
	});
}
