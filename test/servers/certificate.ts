import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { runCommand } from './process';

/** A self-signed certificate for 127.0.0.1 and localhost: its own authority. */
export interface Certificate {
	/** Paths of PEM files. */
	cert: string;
	key: string;
	/** PEM text of the certificate. */
	pem: string;
	remove(): Promise<void>;
}

/** Makes a certificate with a new key (Debian: openssl). */
export async function makeCertificate(): Promise<Certificate> {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-certificate-'));
	const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
	await runCommand('openssl', [
		...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
		...['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'],
		...['-keyout', key, '-out', cert],
	]);
	return {
		...{ cert, key, pem: await readFile(cert, 'utf8') },
		remove: () => rm(folder, { recursive: true }),
	};
}
