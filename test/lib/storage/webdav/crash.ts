import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import type { WebDavSettings } from '../../../../lib/storage/webdav/webdav-storage';
import { startFaultProxy } from '../../../servers/fault-proxy';

/**
 * Stores an object in another process, which is killed when all of it lies under its temporary name: what Apache and nginx have got
 * of an upload that is cut before, they remove themselves.
 *
 * @param at the request before which it dies.
 */
export async function crashBeforeRename(settings: WebDavSettings, key: string, at = 'MKCOL'): Promise<void> {
	const { origin, pathname } = new URL(settings.url);
	const proxy = await startFaultProxy(origin);
	const reached = new Promise<void>((resolve) => {
		proxy.onExchange = ({ method, url }) => {
			if (method !== at || (at === 'MKCOL' && !url.includes('lifeboat-'))) return undefined;
			resolve();
			return { kind: 'answer', status: 503 };
		};
	});
	const through = { ...settings, url: `${proxy.endpoint}${pathname}` };
	const child = spawn(
		process.execPath,
		['--import', 'tsx', join(__dirname, 'crash-child.ts'), JSON.stringify([through, key])],
		{ stdio: ['ignore', 'ignore', 'inherit'] },
	);
	const ended = once(child, 'exit');
	await Promise.race([reached, ended.then(() => Promise.reject(new Error('The process ended too early')))]);
	child.kill('SIGKILL');
	await ended;
	await proxy.stop();
}
