import type { ObjectLockMode, ServerSideEncryption, StorageClass } from '@aws-sdk/client-s3';

import type { S3ProviderName } from './providers';

/** What is asked of the service for each object that is written. */
export interface S3WriteSettings {
	/** The backup's own object only: the files beside it must stay readable at once. */
	storageClass?: StorageClass;
	/** Everything that is written. */
	encryption?: { algorithm: ServerSideEncryption; kmsKeyId?: string };
	/** The backup, its checksum and its manifest; not the marks, which may be taken back. */
	objectLock?: { mode: ObjectLockMode; until: Date };
	/** 256 bits in base64, with which the service encrypts what is written and forgets (SSE-C); reading needs it again. In place of `encryption`. */
	customerKey?: string;
	/** As `objectLock`. */
	legalHold?: boolean;
	/** All that stays. */
	tags?: Record<string, string>;
}

/** How to reach a bucket. */
export interface S3Settings extends S3WriteSettings {
	/** Sets what the others leave open; guessed from the endpoint unless given. */
	provider?: S3ProviderName;
	/** Cloudflare R2: part of the endpoint, where none is given. */
	accountId?: string;
	/** Whoever uses the bucket pays for it. */
	requesterPays?: boolean;
	/** Milliseconds without a sign of life after which another run's claim counts as that of a dead process; 60,000 unless given. */
	claimLifetime?: number;
	bucket: string;
	region: string;
	/** Such as `https://s3.example.com`; Amazon's own unless given. */
	endpoint?: string;
	accessKeyId: string;
	secretAccessKey: string;
	sessionToken?: string;
	/** `https://host/bucket/key` instead of `https://bucket.host/key`. */
	forcePathStyle?: boolean;
	/** Accept a certificate that can't be verified. */
	ignoreTlsErrors?: boolean;
	/** PEM of a certificate authority of one's own. */
	ca?: string;
	/** Milliseconds without a byte after which a connection counts as dead; 60,000 unless given. */
	timeout?: number;
	/** Milliseconds for which an outage in the middle of a transfer is bridged; 120,000 unless given. */
	patience?: number;
}
