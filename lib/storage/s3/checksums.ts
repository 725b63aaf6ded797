import { createHash } from 'node:crypto';

import type { CompletedPart, Part } from '@aws-sdk/client-s3';

/** With what a service compares the bytes of a request. */
export type ChecksumName = 'MD5' | 'SHA-256';

/** The checksum of a request's body, in the fields that carry it there and back. */
export interface Checksum {
	/** For the request. */
	fields: { ContentMD5: string } | { ChecksumSHA256: string };
	/**
	 * Whether an answer, or a part that is there, shows this very checksum. The MD5 shows as the ETag; with encryption by keys it never
	 * does. A SHA-256 shows only where the service has compared it.
	 */
	isShownBy(answer: Pick<CompletedPart & Part, 'ETag' | 'ChecksumSHA256'> | undefined): boolean;
	/** What the request that completes an upload must say of the part. */
	ofPart: { ChecksumSHA256?: string };
}

/** Sums a body up. */
export function checksumOf(body: Buffer, name: ChecksumName): Checksum {
	if (name === 'SHA-256') {
		const ChecksumSHA256 = createHash('sha256').update(body).digest('base64');
		return {
			fields: { ChecksumSHA256 },
			isShownBy: (answer) => answer?.ChecksumSHA256 === ChecksumSHA256,
			ofPart: { ChecksumSHA256 },
		};
	}
	const md5 = createHash('md5').update(body).digest();
	return {
		fields: { ContentMD5: md5.toString('base64') },
		isShownBy: (answer) => answer?.ETag?.replaceAll('"', '') === md5.toString('hex'),
		ofPart: {},
	};
}
