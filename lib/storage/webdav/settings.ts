/** How to reach a folder on a WebDAV server. */
export interface WebDavSettings {
	/** Such as `https://cloud.example.com/remote.php/dav/files/ann`. Must exist. */
	url: string;
	/** Below the address, with `/` between its parts; made when first written to. */
	folder?: string;
	/** Nobody logs in where it is empty. */
	user?: string;
	password?: string;
	/** PEM of a certificate authority of one's own. */
	ca?: string;
	/** Accept a certificate that can't be verified. */
	ignoreTlsErrors?: boolean;
	/** Milliseconds without a byte after which a connection counts as dead; 60,000 unless given. */
	timeout?: number;
	/** Milliseconds for which an outage in the middle of a download is bridged; 120,000 unless given. */
	patience?: number;
}
