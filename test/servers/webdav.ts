import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

import { freePort } from './ports';
import { isListening, runCommand, startProcess, waitUntil, type ServerProcess } from './process';

export interface WebDavOptions {
	/** Basic unless given; nginx knows no other. */
	login?: 'basic' | 'digest';
	/** PEM files: the server then speaks TLS only. */
	tls?: { cert: string; key: string };
	/** Further lines for the configuration of what is served. */
	config?: string;
}

/** A real WebDAV server on a free loopback port. */
export interface WebDavServer {
	readonly url: string;
	readonly user: string;
	readonly password: string;
	/** The folder on disk that it serves. */
	readonly folder: string;
	/** Makes an empty folder in it, and tells the settings of `webDavStorage` for it. */
	settings(): Promise<{ url: string; folder: string; user: string; password: string }>;
	stop(): Promise<void>;
}

const [user, password] = ['dav', 'secret: of the test sérver €'];

/** Starts Apache with mod_dav (Debian: apache2), in about 0.1 s. */
export async function startApache(options: WebDavOptions = {}): Promise<WebDavServer> {
	return start('apache2', options, async (folder, port) => {
		await writeFile(join(folder, 'config'), apacheConfig(folder, port, options));
		return ['apache2', ['-f', join(folder, 'config'), '-D', 'FOREGROUND']];
	});
}

/** Starts nginx with its DAV modules (Debian: nginx-light, libnginx-mod-http-dav-ext), in about 0.1 s. */
export async function startNginx(options: WebDavOptions = {}): Promise<WebDavServer> {
	return start('nginx', options, async (folder, port) => {
		await writeFile(join(folder, 'config'), nginxConfig(folder, port, options));
		return ['nginx', ['-p', folder, '-c', join(folder, 'config'), '-e', join(folder, 'error.log')]];
	});
}

async function start(
	name: string,
	{ tls, login = 'basic' }: WebDavOptions,
	configure: (folder: string, port: number) => Promise<[program: string, args: string[]]>,
): Promise<WebDavServer> {
	const folder = await mkdtemp(join(tmpdir(), `lifeboat-${name}-`));
	let server: ServerProcess | undefined;
	const stop = async () => {
		await server?.stop();
		await rm(folder, { recursive: true, force: true });
	};
	try {
		await chmod(folder, 0o755);
		for (const each of ['www', 'run', 'temp']) await mkdir(join(folder, each));
		const realm = login === 'digest' ? `dav:${md5(`${user}:dav:${password}`)}` : await apr1();
		await writeFile(join(folder, 'users'), `${user}:${realm}\n`);
		if (isRoot) await giveToServer(folder);
		const port = await freePort();
		const [program, args] = await configure(folder, port);
		server = startProcess(program, args, join(folder, 'out.log'));
		await waitUntil(name, () => isListening(port), server);
		const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}/`;
		let made = 0;
		return {
			...{ url, user, password, stop, folder: join(folder, 'www') },
			async settings() {
				made += 1;
				return { url, folder: `backups/${made}`, user, password };
			},
		};
	} catch (error) {
		await stop();
		throw error;
	}
}

const isRoot = userInfo().uid === 0;

const md5 = (text: string) => createHash('md5').update(text).digest('hex');

const apr1 = async () => (await runCommand('openssl', ['passwd', '-apr1', password])).trim();

/** Apache refuses to serve as root. */
async function giveToServer(folder: string): Promise<void> {
	const id = async (option: string) => Number(await runCommand('id', [option, 'www-data']));
	const [uid, gid] = [await id('-u'), await id('-g')];
	for (const each of ['www', 'run', 'temp']) await chown(join(folder, each), uid, gid);
}

function apacheConfig(
	folder: string,
	port: number,
	{ login = 'basic', tls, config = '' }: WebDavOptions,
): string {
	const modules = ['mpm_event', 'authn_core', 'authn_file', 'authz_core', 'authz_user', 'dav', 'dav_fs'];
	modules.push(`auth_${login}`, ...(tls ? ['ssl'] : []));
	const file = login === 'basic' ? 'AuthBasicProvider' : 'AuthDigestProvider';
	return `ServerRoot ${folder}
ServerName localhost
Listen 127.0.0.1:${port}
PidFile ${folder}/run/pid
DefaultRuntimeDir ${folder}/run
Mutex file:${folder}/run
ErrorLog ${folder}/error.log
${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so\n`).join('')}
${isRoot ? 'User www-data\nGroup www-data' : ''}
${tls ? `SSLEngine on\nSSLCertificateFile ${tls.cert}\nSSLCertificateKeyFile ${tls.key}` : ''}
DocumentRoot ${folder}/www
DavLockDB ${folder}/run/locks
LimitRequestBody 0
<Directory ${folder}/www>
	Dav On
	AuthType ${login}
	AuthName dav
	${file} file
	AuthUserFile ${folder}/users
	Require valid-user
	Options None
	AllowOverride None
	${config}
</Directory>
`;
}

function nginxConfig(folder: string, port: number, { tls, config = '' }: WebDavOptions): string {
	const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
	return `load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;
${isRoot ? 'user www-data;' : ''}
daemon off;
worker_processes 2;
pid ${folder}/run/pid;
error_log ${folder}/error.log warn;
events { worker_connections 512; }
http {
	access_log off;
	client_max_body_size 0;
	${temporary.map((name) => `${name}_temp_path ${folder}/temp;`).join(' ')}
	sendfile on;
	tcp_nodelay on;
	server {
		listen 127.0.0.1:${port}${tls ? ' ssl' : ''};
		${tls ? `ssl_certificate ${tls.cert}; ssl_certificate_key ${tls.key};` : ''}
		root ${folder}/www;
		location / {
			auth_basic dav;
			auth_basic_user_file ${folder}/users;
			dav_methods PUT DELETE MKCOL COPY MOVE;
			dav_ext_methods PROPFIND OPTIONS;
			dav_access user:rw;
			${config}
		}
	}
}
`;
}
