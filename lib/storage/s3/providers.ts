import { LifeboatError } from '../../errors';

/** What differs between the services that speak S3. */
export interface S3Provider {
	/** The address of its service in a region, where it follows from that. */
	endpoint?: (region: string) => string;
	/** The region it wants to read in signatures, whatever the credential says. */
	region?: string;
	forcePathStyle?: boolean;
	/** All parts of an upload but the last must have the same size. */
	equalParts?: boolean;
	/** It compares what it receives with SHA-256 (`x-amz-checksum-sha256`) and keeps that. Others ignore it, or know MD5 only. */
	sha256?: boolean;
	/** `If-None-Match` is heeded when an object is put. Services that don't know it should answer 501, but some ignore it. */
	conditionalPut?: boolean;
	/** It is heeded when a multipart upload is completed, too. */
	conditionalCompletion?: boolean;
}

/** By the names that settings use. What a provider's documentation doesn't promise isn't relied on. */
export const s3Providers = {
	aws: { conditionalPut: true, conditionalCompletion: true, sha256: true },
	b2: { endpoint: (region) => `https://s3.${region}.backblazeb2.com` },
	ceph: { forcePathStyle: true, conditionalPut: true },
	digitalocean: { endpoint: (region) => `https://${region}.digitaloceanspaces.com` },
	gcs: { endpoint: () => 'https://storage.googleapis.com', region: 'auto', forcePathStyle: true },
	hetzner: { endpoint: (region) => `https://${region}.your-objectstorage.com` },
	minio: { forcePathStyle: true, conditionalPut: true },
	other: { conditionalPut: true },
	r2: { region: 'auto', equalParts: true, conditionalPut: true, conditionalCompletion: true },
	wasabi: { endpoint: (region) => `https://s3.${region}.wasabisys.com` },
} as const satisfies Record<string, S3Provider>;

export type S3ProviderName = keyof typeof s3Providers;

/**
 * The provider of these settings: the one they name, else the one their endpoint belongs to.
 *
 * @param host of the endpoint, if there is one.
 * @throws LifeboatError `INVALID_OPTION` for a name that isn't known.
 */
export function providerOf(name: string | undefined, host: string | undefined): S3Provider {
	const found: Record<string, S3Provider> = s3Providers;
	if (name !== undefined && name !== 'other') {
		const provider = Object.hasOwn(found, name) ? found[name] : undefined;
		if (provider) return provider;
		throw new LifeboatError(
			'INVALID_OPTION',
			`This version of Lifeboat does not know the provider "${name}"`,
			{
				hint: 'Choose one of the list under Provider',
			},
		);
	}
	if (host === undefined || /(^|\.)amazonaws\.com(\.cn)?$/.test(host)) return s3Providers.aws;
	return host.endsWith('.r2.cloudflarestorage.com') ? s3Providers.r2 : s3Providers.other;
}
