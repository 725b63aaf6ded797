import type { Manifest } from '../artifact/manifest';

/** The name of the checksum file beside a backup. */
export function checksumFileName(manifest: Pick<Manifest, 'fileName'>): string {
	return `${manifest.fileName}.sha256`;
}

/** The text of a checksum file, as `sha256sum` writes and `sha256sum -c` reads it (GNU coreutils, with its escaping of names). */
export function checksumFile(manifest: Pick<Manifest, 'fileName' | 'stored'>): string {
	const escaped = manifest.fileName.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
	return `${escaped === manifest.fileName ? '' : '\\'}${manifest.stored.sha256}  ${escaped}\n`;
}
