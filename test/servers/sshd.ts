import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile, chmod } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import type { SftpSettings } from '../../lib/storage/sftp/settings';

import { freePort } from './ports';

const exec = promisify(execFile);

/** A real OpenSSH server on loopback. The user that runs the tests logs in with a key. */
export interface SshServer {
	readonly host: '127.0.0.1';
	readonly port: number;
	readonly user: string;
	/** PEM text. */
	readonly privateKey: string;
	/** As `ssh-keygen -l` prints it: `SHA256:...`. */
	readonly hostKeyFingerprint: string;
	/** A folder of its own that SFTP may fill. */
	readonly folder: string;
	/** Settings of a storage in a folder of that one. */
	storage(folder: string): SftpSettings;
	/** Lets who has the private key for a public one log in. */
	allow(publicKey: string): Promise<void>;
	/** Runs commands of `sftp`, one a line. */
	sftp(...commands: string[]): Promise<void>;
	stop(): Promise<void>;
}

export interface SshServerOptions {
	/** Further options of `sftp-server`, such as `-P posix-rename` for one that can't do that. */
	sftpOptions?: string;
	/** Let users log in, but not by SFTP. */
	withoutSftp?: boolean;
	/** Further settings of sshd_config. */
	config?: Record<string, string>;
	/** Size of a file system of its own for the folder, which nobody else sees (root only). */
	diskBytes?: number;
}

/** Starts sshd (Debian: openssh-server) with host keys and configuration of its own; TCP forwarding and SFTP are on. */
export async function startSshd(options: SshServerOptions = {}): Promise<SshServer> {
	const root = await mkdtemp(join(tmpdir(), 'lifeboat-sshd-'));
	await chmod(root, 0o755);
	const path = (name: string) => join(root, name);
	await mkdir(path('files'));
	for (const name of ['host', 'client']) {
		await exec('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path(name)]);
	}
	await writeFile(path('authorized_keys'), await readFile(path('client.pub')));
	const port = await freePort();
	const isRoot = process.getuid?.() === 0;
	if (isRoot) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
	const settings = {
		...{ Port: port, ListenAddress: '127.0.0.1', HostKey: path('host'), PidFile: path('pid') },
		...{ AuthorizedKeysFile: path('authorized_keys'), StrictModes: 'no', UsePAM: isRoot ? 'no' : 'yes' },
		...{
			PermitRootLogin: 'prohibit-password',
			PasswordAuthentication: 'no',
			KbdInteractiveAuthentication: 'no',
		},
		...{ AllowTcpForwarding: 'yes', UseDNS: 'no', MaxStartups: '100:30:200', MaxSessions: 100 },
		...(!options.withoutSftp && {
			Subsystem: `sftp internal-sftp -d ${path('files')} ${options.sftpOptions ?? ''}`,
		}),
		...options.config,
	};
	await writeFile(
		path('config'),
		Object.entries(settings)
			.map(([name, value]) => `${name} ${value}\n`)
			.join(''),
	);
	const command = ['/usr/sbin/sshd', '-D', '-e', '-f', path('config')];
	if (options.diskBytes !== undefined) {
		const mount = `mount -t tmpfs -o size=${options.diskBytes} tmpfs '${path('files')}'`;
		command.unshift('unshare', '-m', 'sh', '-ec', `${mount}; exec "$@"`, 'sh');
	}
	const server = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
	let log = '';
	server.stderr.on('data', (text) => (log += String(text)));
	const kill = () => server.kill('SIGKILL');
	process.on('exit', kill);
	for (const deadline = Date.now() + 10_000; !(await answers(port)); await sleep(25)) {
		if (server.exitCode !== null || Date.now() > deadline) throw new Error(`sshd did not start: ${log}`);
	}
	const { stdout } = await exec('ssh-keygen', ['-l', '-f', path('host.pub')]);
	const access = {
		...{ host: '127.0.0.1' as const, port, privateKey: await readFile(path('client'), 'utf8') },
		hostKeyFingerprint: stdout.split(' ')[1]!,
	};
	const user = userInfo().username;
	return {
		...{ ...access, user, folder: path('files') },
		async allow(publicKey) {
			await appendFile(path('authorized_keys'), publicKey);
		},
		async sftp(...commands) {
			await writeFile(path('batch'), commands.map((line) => `${line}\n`).join(''));
			await writeFile(path('known_hosts'), `[127.0.0.1]:${port} ${await readFile(path('host.pub'), 'utf8')}`);
			await exec('sftp', [
				...['-q', '-b', path('batch'), '-P', String(port), '-i', path('client'), '-o', 'IdentitiesOnly=yes'],
				...['-F', 'none', '-o', `UserKnownHostsFile=${path('known_hosts')}`, `${user}@127.0.0.1`],
			]);
		},
		storage: (folder) => ({ ...access, username: user, folder }),
		async stop() {
			process.off('exit', kill);
			if (server.exitCode === null) {
				server.kill();
				await once(server, 'exit');
			}
			await rm(root, { recursive: true, force: true });
		},
	};
}

async function answers(port: number): Promise<boolean> {
	const socket = connect(port, '127.0.0.1');
	try {
		await once(socket, 'connect');
		return true;
	} catch {
		return false;
	} finally {
		socket.destroy();
	}
}
