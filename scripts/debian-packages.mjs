// Servers and judges that the tests use and npm doesn't bring. What is missing is installed where that is possible
// (Debian or Ubuntu, as root); elsewhere it is named, and this ends with status 1: no test is left out silently.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { say } from './tools.mjs';

/** Debian's package for each program, or for a file by its path. Where several programs will do, one of them is enough. */
const wanted = [
	{ program: 'age', package: 'age' },
	{ program: 'age-keygen', package: 'age' },
	{ program: 'apache2', package: 'apache2' },
	{ program: 'aws', package: 'awscli' },
	{ program: 'bsdtar', package: 'libarchive-tools' },
	{ program: 'ceph', package: 'ceph-common' },
	{ program: 'ceph-mon', package: 'ceph-mon' },
	{ program: 'ceph-osd', package: 'ceph-osd' },
	{ program: ['chromium', 'chromium-browser', 'google-chrome'], package: 'chromium' },
	{ program: 'curl', package: 'curl' },
	{ program: 'gcc', package: 'gcc' },
	{ program: '/usr/include/stdlib.h', package: 'libc6-dev' },
	{ program: 'gpg', package: 'gnupg' },
	{ program: 'gpgconf', package: 'gpgconf' },
	{ program: 'gzip', package: 'gzip' },
	{ program: 'memcached', package: 'memcached' },
	{ program: 'nginx', package: 'nginx-light' },
	{ program: '/usr/lib/nginx/modules/ngx_http_dav_ext_module.so', package: 'libnginx-mod-http-dav-ext' },
	{ program: 'openssl', package: 'openssl' },
	{ program: 'pg_dump', package: 'postgresql-client' },
	{ program: 'pgbouncer', package: 'pgbouncer' },
	{ program: 'proftpd', package: 'proftpd-core' },
	{ program: '/usr/lib/proftpd/mod_tls.so', package: 'proftpd-mod-crypto' },
	{ program: 'prlimit', package: 'util-linux' },
	{ program: 'psql', package: 'postgresql-client' },
	{ program: 'radosgw', package: 'radosgw' },
	{ program: 'rclone', package: 'rclone' },
	{ program: 'restic', package: 'restic' },
	{ program: 'sha256sum', package: 'coreutils' },
	{ program: 'script', package: 'bsdutils' },
	{ program: 'sqlite3', package: 'sqlite3' },
	{ program: 'sftp', package: 'openssh-client' },
	{ program: 'ssh-keygen', package: 'openssh-client' },
	{ program: 'sshd', package: 'openssh-server' },
	{ program: 'strace', package: 'strace' },
	{ program: 'swift-account-server', package: 'swift-account' },
	{ program: 'swift-container-server', package: 'swift-container' },
	{ program: 'swift-object-server', package: 'swift-object' },
	{ program: 'swift-proxy-server', package: 'swift-proxy' },
	{ program: 'tar', package: 'tar' },
	{ program: 'unshare', package: 'util-linux' },
	{ program: 'zstd', package: 'zstd' },
];

const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];

function isThere(program) {
	if (program.startsWith('/')) return existsSync(program);
	return folders.some((folder) => {
		try {
			accessSync(join(folder, program), constants.X_OK);
			return true;
		} catch {
			return false;
		}
	});
}

const missing = () => wanted.filter(({ program }) => ![program].flat().some(isThere));
const packagesOf = (list) => [...new Set(list.map((entry) => entry.package))];

/** Runs apt-get; its many lines are shown only if it fails. */
function aptGet(...args) {
	const { status, error, stdout, stderr } = spawnSync('apt-get', args, {
		env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
		encoding: 'utf8',
		maxBuffer: 256 * 1024 * 1024,
	});
	if (error) throw error;
	if (status !== 0)
		throw new Error(`apt-get ${args.join(' ')} ended with status ${status}\n${stdout}${stderr}`);
}

/** While this file is there, packages don't start their servers: the tests start their own. */
const policy = '/usr/sbin/policy-rc.d';

function install(packages) {
	const ours = !existsSync(policy);
	if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
	try {
		aptGet('update', '-qq');
		aptGet('install', '-y', '-qq', '--no-install-recommends', ...packages);
	} finally {
		if (ours) rmSync(policy);
	}
}

const before = missing();
if (before.length > 0) {
	const packages = packagesOf(before);
	const command = `apt-get install --no-install-recommends ${packages.join(' ')}`;
	try {
		if (process.getuid?.() !== 0) throw new Error(`Only root can install them. Run: sudo ${command}`);
		if (!isThere('apt-get'))
			throw new Error('There is no apt-get here: install them in the way of this system');
		say(`Installing Debian packages for the tests (once): ${packages.join(' ')}`);
		install(packages);
		const after = missing();
		if (after.length > 0) throw new Error(`Still missing: ${packagesOf(after).join(' ')}`);
	} catch (error) {
		const programs = before.map(({ program }) => [program].flat().join(' or ')).join(', ');
		console.error(`\nThe tests need programs that are not here: ${programs}\n${error.message}`);
		process.exitCode = 1;
	}
}
