import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

import type { FtpSettings } from '../../lib/storage/ftp/settings';

import { makeCertificate } from './certificate';
import { freePort } from './ports';
import { isListening, runCommand, startProcess, waitUntil } from './process';

/** A real ProFTPD on loopback. Its only user is one of its own, with a password. */
export interface ProftpdServer {
	readonly host: '127.0.0.1';
	readonly port: number;
	readonly user: string;
	readonly password: string;
	/** The only folder there is; the user begins in it, and can't leave it. */
	readonly folder: string;
	/** PEM text of the authority that vouches for the server, where it speaks TLS. */
	readonly ca: string;
	/** Of the server's SSH host key, as `ssh-keygen -l` prints it; empty where it speaks FTP. */
	readonly hostKeyFingerprint: string;
	/** Settings of an FTP storage, but for its folder. */
	access(security: FtpSettings['security']): Omit<FtpSettings, 'folder'>;
	/** What it wrote so far. */
	log(): Promise<string>;
	stop(): Promise<void>;
}

export interface ProftpdOptions {
	/** `sftp`, or how FTP is protected: TLS may be used, must be used, or is there from the first byte. */
	speaks?: 'plain' | 'optional-tls' | 'explicit-tls' | 'implicit-tls' | 'sftp';
	/** Further lines of its configuration. */
	settings?: readonly string[];
	/** Instead of a free one. */
	port?: number;
	/** Instead of a folder of its own. */
	folder?: string;
}

/** Starts ProFTPD (Debian: proftpd-core, proftpd-mod-crypto). */
export async function startProftpd(options: ProftpdOptions = {}): Promise<ProftpdServer> {
	const { speaks = 'plain', settings = [] } = options;
	const root = await mkdtemp(join(tmpdir(), 'lifeboat-proftpd-'));
	const path = (name: string) => join(root, name);
	const folder = options.folder ?? path('files');
	await mkdir(folder, { recursive: true });
	const port = options.port ?? (await freePort());
	const [user, password] = ['backup', 'correct horse'];
	const [uid, gid] = [process.getuid!(), process.getgid!()];
	const group = (await runCommand('id', ['-gn'])).trim();
	const hash = (await runCommand('openssl', ['passwd', '-6', password])).trim();
	await writeFile(path('users'), `${user}:${hash}:${uid}:${gid}::${folder}:/bin/sh\n`, { mode: 0o600 });
	await writeFile(path('groups'), `backup:x:${gid}:\n`, { mode: 0o600 });
	const certificate = await makeCertificate();
	if (speaks === 'sftp')
		await runCommand('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path('host')]);
	const lines = [
		...['ServerType standalone', 'ServerName lifeboat', `Port ${port}`, 'DefaultAddress 127.0.0.1'],
		...['ModulePath /usr/lib/proftpd', 'UseIPv6 off', 'UseReverseDNS off', 'WtmpLog off'],
		...[`PidFile ${path('pid')}`, `ScoreboardFile ${path('scoreboard')}`, 'DelayEngine off'],
		...[`AuthUserFile ${path('users')}`, `AuthGroupFile ${path('groups')}`, 'AuthOrder mod_auth_file.c'],
		...[
			'RequireValidShell off',
			'RootLogin on',
			`User ${userInfo().username}`,
			`Group ${group}`,
			'DefaultRoot ~',
		],
		...['AllowOverwrite on', 'AllowStoreRestart on', 'MaxInstances 100', 'TimesGMT on', 'Umask 077'],
		...['MaxLoginAttempts 3', `SystemLog ${path('system.log')}`, 'UseEncoding UTF-8 UTF-8'],
		...(speaks === 'sftp' ? sftpLines(path) : []),
		...(speaks.endsWith('tls') ? tlsLines(speaks, path, certificate) : []),
		...settings,
	];
	await writeFile(path('config'), lines.map((line) => `${line}\n`).join(''));
	const server = startProcess('/usr/sbin/proftpd', ['-n', '-q', '-c', path('config')], path('log'));
	const stop = async () => {
		await server.stop();
		await certificate.remove();
		await rm(root, { recursive: true, force: true });
	};
	try {
		await waitUntil('ProFTPD', () => isListening(port), server);
	} catch (error) {
		await stop();
		throw error;
	}
	const printed = speaks === 'sftp' ? await runCommand('ssh-keygen', ['-l', '-f', path('host.pub')]) : '';
	return {
		...{ host: '127.0.0.1', port, user, password, folder, ca: certificate.pem },
		hostKeyFingerprint: printed.split(' ')[1] ?? '',
		access: (security) => ({ host: '127.0.0.1', port, user, password, ca: certificate.pem, security }),
		log: async () => await readFile(path('system.log'), 'utf8'),
		stop,
	};
}

function sftpLines(path: (name: string) => string): string[] {
	return [
		...['LoadModule mod_sftp.c', 'SFTPEngine on', `SFTPHostKey ${path('host')}`, 'SFTPAuthMethods password'],
		...[`SFTPLog ${path('system.log')}`],
	];
}

function tlsLines(
	speaks: string,
	path: (name: string) => string,
	certificate: { cert: string; key: string },
): string[] {
	return [
		...[
			'LoadModule mod_tls.c',
			'TLSEngine on',
			`TLSLog ${path('system.log')}`,
			'TLSProtocol TLSv1.2 TLSv1.3',
		],
		...[`TLSECCertificateFile ${certificate.cert}`, `TLSECCertificateKeyFile ${certificate.key}`],
		`TLSRequired ${speaks === 'optional-tls' ? 'off' : 'on'}`,
		`TLSOptions ${speaks === 'implicit-tls' ? 'UseImplicitSSL' : 'NoSessionReuseRequired'}`,
	];
}
