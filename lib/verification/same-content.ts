import type { Manifest } from '../artifact/manifest';
import { LifeboatError } from '../errors';
import { sameDigest } from '../streams/digest';

/** Where nothing was done to the content, the stored bytes are the content. @throws LifeboatError `CHECKSUM_MISMATCH` for a manifest that says otherwise. */
export function requireSameContent({
	transformations,
	content,
	stored,
	fileName,
}: Pick<Manifest, 'transformations' | 'content' | 'stored' | 'fileName'>): void {
	if (transformations.length > 0 || sameDigest(content, stored)) return;
	throw new LifeboatError(
		'CHECKSUM_MISMATCH',
		`The manifest of ${fileName} names no compression or encryption, yet other bytes as its content`,
		{ hint: 'The manifest is damaged. Take the same backup from another destination, or an older one' },
	);
}
