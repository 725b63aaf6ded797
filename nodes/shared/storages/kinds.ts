import { azure } from './azure';
import { ftp } from './ftp';
import { local } from './local';
import { aws, s3 } from './s3';
import { sftp } from './sftp';
import type { StorageKind } from './storage-kind';
import { nextcloud, webDav } from './webdav';

/** Every storage that the nodes offer, in the order of their names. */
export const storageKinds: readonly StorageKind[] = [aws, azure, ftp, local, nextcloud, s3, sftp, webDav];
