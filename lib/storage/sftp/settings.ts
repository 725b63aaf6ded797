/** How to reach a folder of an SFTP server. */
export interface SftpSettings {
	host: string;
	/** 22 unless given. */
	port?: number;
	username: string;
	/** Also the answer to what a server asks by keyboard-interactive. */
	password?: string;
	/** PEM, OpenSSH or PuTTY text. */
	privateKey?: string;
	/** Of an encrypted private key. */
	passphrase?: string;
	/** Path on the server; from the folder the login begins in, unless it begins with `/`. Made when first written to. */
	folder: string;
	/** One or more as `ssh-keygen -l` prints them, `SHA256:...`; any key of the server is taken when none is given. */
	hostKeyFingerprint?: string;
	/** Told the fingerprint of a host key that was taken because none was given. */
	onUnverifiedHostKey?: (fingerprint: string) => void;
	/** Milliseconds without an answer after which a connection counts as dead; 60,000 unless given. */
	timeout?: number;
	/** Milliseconds for which an outage in the middle of the work is bridged; 120,000 unless given. */
	patience?: number;
}
