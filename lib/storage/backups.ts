/** Backups in a storage: an object each, with its checksum and its manifest beside it. */
export { copyBackup, type CopyBackupResult } from './backups/copy';
export { assertSameBackup, deleteBackup } from './backups/delete';
export { deleteChosenBackup } from './backups/delete-chosen';
export { backupById } from './backups/find';
export { keyPlaceholders, planKey, storeNumbered, type KeyContext } from './backups/key-template';
export { listBackups, listForeignFiles, type ListBackupsOptions } from './backups/list';
export type { Marks, Pin, Proof } from './backups/marks';
export { newestBackup, type NewestBackup, type NewestBackupOptions } from './backups/newest';
export { proveObject, readBack, type StorageProof } from './backups/prove';
export { openBackup, readBackup, type StoredBackup } from './backups/read';
export {
	checksumKey,
	manifestKey,
	parseSha256Sidecar,
	pinKey,
	proofKey,
	sha256Sidecar,
} from './backups/sidecars';
export { storeBackup, type StoreBackupOptions, type StoreBackupResult } from './backups/store';
export { removePin, writePin, writeProof } from './backups/write-sidecars';
export { reencryptBackup, type ReencryptBackupOptions } from './backups/reencrypt';
