/** How to reach a bucket. */
export interface S3Settings {
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
