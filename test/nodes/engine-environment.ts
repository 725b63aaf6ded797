// Imported before n8n-core: n8n reads its environment once, when it is loaded.
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The home of this process's n8n: settings, binary data, and the nodes' storage paths. Removed when the process ends. */
export const userFolder = mkdtempSync(join(realpathSync(tmpdir()), 'lifeboat-engine-'));
process.on('exit', () => rmSync(userFolder, { recursive: true, force: true }));

Object.assign(process.env, {
	N8N_USER_FOLDER: userFolder,
	N8N_ENCRYPTION_KEY: 'key-of-the-in-process-engine',
	N8N_ENFORCE_SETTINGS_FILE_PERMISSIONS: 'true',
	N8N_LOG_LEVEL: 'silent',
	GENERIC_TIMEZONE: 'UTC',
});
