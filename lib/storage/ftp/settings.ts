/** How to reach a folder of an FTP server. */
export interface FtpSettings {
	host: string;
	/** 21 unless given, with implicit TLS 990. */
	port?: number;
	/** `anonymous` unless given. */
	user?: string;
	password?: string;
	/** TLS on demand at the usual port, TLS from the first byte, or nothing: then all travels readable, the password too. */
	security: 'explicit' | 'implicit' | 'none';
	/** Accept a certificate that can't be verified. */
	ignoreTlsErrors?: boolean;
	/** PEM of a certificate authority of one's own. */
	ca?: string;
	/** Path on the server; from the folder the login begins in, unless it begins with `/`. Made when first written to. */
	folder: string;
	/** Milliseconds without a byte after which a connection counts as dead; 60,000 unless given. */
	timeout?: number;
	/** Milliseconds for which an outage in the middle of the work is bridged; 120,000 unless given. */
	patience?: number;
	/** How many connections there may be at once; 5 unless given. */
	connections?: number;
}
