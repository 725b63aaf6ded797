import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import type { LifeboatError } from '../../../../lib/errors';
import { openBackup, storeBackup } from '../../../../lib/storage/backups';
import type { Storage } from '../../../../lib/storage/storage';
import { webDavStorage, type WebDavSettings } from '../../../../lib/storage/webdav/webdav-storage';
import { startFaultProxy, type Exchange, type Fault, type FaultProxy } from '../../../servers/fault-proxy';
import { startApache, startNginx, type WebDavServer } from '../../../servers/webdav';
import { stagedBackup } from '../backup-samples';
import { code, inChunks, keysOf } from '../conformance';

import { crashBeforeRename } from './crash';

const size = 6 * 1024 * 1024;
const content = randomBytes(size);

const is =
	(wanted: string) =>
	({ method }: Exchange) =>
		method === wanted;

for (const [name, start] of [
	['Apache', startApache],
	['nginx', startNginx],
] as const) {
	describe(`WebDAV (${name}) when things go wrong`, () => {
		let server: WebDavServer;
		let proxy: FaultProxy;
		let settings: WebDavSettings & { folder: string };
		/** Through the proxy. */
		let storage: Storage;
		/** Past the proxy. */
		let direct: Storage;

		before(async () => {
			server = await start();
			proxy = await startFaultProxy(server.url);
		});
		after(async () => {
			await proxy.stop();
			await server.stop();
		});
		beforeEach(async () => {
			settings = await server.settings();
			direct = webDavStorage(settings);
			storage = webDavStorage({ ...settings, url: proxy.endpoint, timeout: 400, patience: 0 });
			proxy.log.length = 0;
		});
		afterEach(async () => {
			proxy.onExchange = () => undefined;
			await storage.close();
			await direct.close();
			assert.deepEqual(await leftovers(), []);
		});

		const leftovers = async () =>
			(await readdir(join(server.folder, settings.folder), { recursive: true }).catch(() => [])).filter(
				(path) => /lifeboat-|davfs/.test(path),
			);

		/** The faults one after the other, for the exchanges that fit; then none. */
		function inTurn(fits: (exchange: Exchange) => boolean, faults: Fault[]): void {
			const left = [...faults];
			proxy.onExchange = (exchange) =>
				fits(exchange) && exchange.headers.authorization ? left.shift() : undefined;
		}

		for (const third of [0, 1, 2, 3]) {
			const at = Math.floor((size * third) / 3) - (third === 3 ? 1 : 0);

			test(`a download that is cut after ${third} thirds is taken up where it ended`, async () => {
				await direct.put('object', inChunks(content));
				inTurn(is('GET'), [{ kind: 'cut-response', after: at }]);
				assert.ok(content.equals(await buffer(await storage.get('object'))));
				const range = { start: 1000, end: size - 1001 };
				inTurn(is('GET'), [
					{ kind: 'cut-response', after: at >> 1 },
					{ kind: 'cut-response', after: at >> 2 },
				]);
				assert.ok(content.subarray(1000, -1000).equals(await buffer(await storage.get('object', { range }))));
			});

			test(`uploads that are cut after ${third} thirds fail and leave nothing`, async () => {
				await direct.put('old', inChunks(content.subarray(0, 10)));
				proxy.onExchange = (exchange) =>
					is('PUT')(exchange) ? { kind: 'cut-request', after: at } : undefined;
				const failing = async (key: string, ifExists: 'fail' | 'replace', known: { size?: number }) => {
					const source = inChunks(content);
					await assert.rejects(storage.put(key, source, { ifExists, ...known }), code('CONNECTION_FAILED'));
					assert.ok(source.destroyed);
				};
				await Promise.all([
					...[failing('new', 'fail', { size }), failing('new of unknown size', 'fail', {})],
					...[failing('old', 'replace', { size }), failing('old', 'replace', {})],
				]);
				assert.deepEqual(await keysOf(direct, ''), ['old']);
				assert.equal((await direct.stat('old'))?.size, 10);
			});
		}

		const isClaim = ({ method, url }: Exchange) => method === 'MKCOL' && url.endsWith('.claim/');
		/** Where a run that is completing the key puts its claim. */
		const claimOf = (key: string) => {
			const hash = createHash('sha256').update(key).digest('hex').slice(0, 32);
			return join(server.folder, settings.folder, `~lifeboat-${hash}.claim`);
		};

		test('a claim whose answer is lost is known again, and keeps others out until then', async () => {
			for (const faults of [
				[{ kind: 'lose-answer' }],
				[{ kind: 'lose-answer' }, { kind: 'answer', status: 503 }, { kind: 'lose-answer' }],
			] satisfies Fault[][]) {
				const key = `object ${faults.length}`;
				const left: Fault[] = [...faults];
				let rival: Promise<unknown> | undefined;
				proxy.onExchange = (exchange) => {
					if (!isClaim(exchange)) return undefined;
					if (left.length === 0) {
						rival ??= direct.put(key, inChunks(content.subarray(1)));
						rival.catch(() => {});
					}
					return left.shift();
				};
				await storage.put(key, inChunks(content));
				await assert.rejects(rival!, code('ALREADY_EXISTS'));
				assert.ok(content.equals(await buffer(await direct.get(key))));
			}
		});

		test('a claim of another run is not taken for one whose answer was lost', async () => {
			await direct.put('other', inChunks(content));
			const [claim, claim2] = [claimOf('object'), claimOf('second')];
			await Promise.all([claim, claim2].map((folder) => mkdir(folder)));
			await Promise.all([claim, claim2].map((folder) => chmod(folder, 0o777)));
			// As if the answer was lost, though the server was never asked.
			inTurn(isClaim, [
				{ kind: 'answer', status: 503 },
				{ kind: 'answer', status: 503 },
			]);
			const first = storage.put('object', inChunks(content));
			const second = storage.put('second', inChunks(content));
			second.catch(() => {});
			// Both other runs end within the time that they have: one without its object, one with it.
			await sleep(60);
			await rm(claim, { recursive: true });
			await first;
			await rename(
				join(server.folder, settings.folder, 'other'),
				join(server.folder, settings.folder, 'second'),
			);
			await rm(claim2, { recursive: true, force: true });
			await assert.rejects(second, code('ALREADY_EXISTS'));
		});

		test('a download that is cut again and again fails, it never ends early', async () => {
			await direct.put('object', inChunks(content));
			let first = true;
			proxy.onExchange = (exchange) => {
				if (!is('GET')(exchange) || !exchange.headers.authorization) return undefined;
				const after = first ? 1_000_000 : 0;
				first = false;
				return { kind: 'cut-response', after };
			};
			await assert.rejects(buffer(await storage.get('object')), code('CONNECTION_FAILED'));
		});

		test('a download that stalls is taken up, a slow reader is waited for', async () => {
			await direct.put('object', inChunks(content));
			inTurn(is('GET'), [
				{ kind: 'stall', after: 1_000_000 },
				{ kind: 'stall', after: 2_000_000 },
			]);
			assert.ok(content.equals(await buffer(await storage.get('object'))));
			const slow: Buffer[] = [];
			for await (const chunk of await storage.get('object')) {
				if (slow.length === 0) await sleep(1000);
				slow.push(chunk as Buffer);
			}
			assert.ok(content.equals(Buffer.concat(slow)));
		});

		test('a download does not go on in another object that took the place', async () => {
			await direct.put('object', inChunks(content));
			inTurn(is('GET'), [{ kind: 'cut-response', after: 1_000_000 }]);
			const stream = await storage.get('object');
			await direct.put('object', inChunks(randomBytes(size)), { ifExists: 'replace' });
			await assert.rejects(buffer(stream), code('INCOMPLETE'));
		});

		test('a slow source and a slow server are waited for, a server that takes nothing more is not', async () => {
			const slow = async function* () {
				yield content.subarray(0, 1000);
				await sleep(1200);
				yield content.subarray(1000, 2000);
			};
			await storage.put('slow', Readable.from(slow()));
			assert.ok(content.subarray(0, 2000).equals(await buffer(await direct.get('slow'))));
			const stuck = webDavStorage({ ...settings, url: proxy.endpoint, timeout: 100 });
			proxy.onExchange = (exchange) => (is('PUT')(exchange) ? { kind: 'swallow' } : undefined);
			await assert.rejects(stuck.put('stuck', inChunks(content)), code('CONNECTION_FAILED'));
			proxy.onExchange = () => ({ kind: 'slow', delay: 10 });
			const some = content.subarray(0, 1024 * 1024);
			await stuck.put('patience', inChunks(some));
			assert.ok(some.equals(await buffer(await stuck.get('patience'))));
			await stuck.close();
			assert.deepEqual(await keysOf(direct, ''), ['patience', 'slow']);
		});

		test('bytes damaged on their way fail the proof, and the reading of a backup', async () => {
			const artifact = await stagedBackup();
			inTurn(is('PUT'), [{ kind: 'flip-request', at: 50_000 }]);
			await assert.rejects(storeBackup(storage, artifact), code('PROOF_FAILED'));
			inTurn(is('GET'), [{ kind: 'flip-response', at: 50_000 }]);
			await assert.rejects(storeBackup(storage, artifact), code('PROOF_FAILED'));
			assert.deepEqual(await keysOf(direct, ''), []);
			const { key, manifest } = await storeBackup(storage, artifact);
			inTurn(is('GET'), [{ kind: 'flip-response', at: 99_999 }]);
			const { stream } = await openBackup(storage, { key, manifest }).open();
			await assert.rejects(buffer(stream), code('CHECKSUM_MISMATCH'));
		});

		test('a proxy that shortens an upload and says that all is well is found out', async () => {
			proxy.onExchange = (exchange) =>
				is('PUT')(exchange) ? { kind: 'shorten-request', to: 4000 } : undefined;
			await assert.rejects(storage.put('object', inChunks(content)), code('INCOMPLETE'));
			assert.deepEqual(await keysOf(direct, ''), []);
		});

		test('an answer that is lost does not make a success a failure', async () => {
			for (const [number, ifExists] of (['fail', 'replace'] as const).entries()) {
				for (const method of ['MOVE', 'PROPFIND', 'DELETE']) {
					inTurn(is(method), [{ kind: 'lose-answer' }]);
					await storage.put(`${method}-${number}`, inChunks(content.subarray(0, 1000)), { ifExists });
				}
			}
			assert.equal((await keysOf(direct, '')).length, 6);
			inTurn(is('DELETE'), [{ kind: 'lose-answer' }]);
			await storage.delete('MOVE-0');
			inTurn(({ method, url }) => method === 'MKCOL' && !url.includes('~'), [{ kind: 'lose-answer' }]);
			await storage.put('folder/new', inChunks(content.subarray(0, 1000)));
			inTurn(is('MOVE'), [{ kind: 'lose-answer' }]);
			await assert.rejects(storage.put('MOVE-1', inChunks(randomBytes(10))), code('ALREADY_EXISTS'));
		});

		for (const status of [500, 503]) {
			test(`a server that answers ${status} is asked again`, async () => {
				const twice: Fault[] = Array<Fault>(2).fill({ kind: 'answer', status });
				for (const method of ['MOVE', 'PROPFIND', 'MKCOL']) {
					inTurn(is(method), twice);
					await storage.put(`${method}/object`, inChunks(content.subarray(0, 1000)));
				}
				inTurn(is('GET'), twice);
				const read = await buffer(await storage.get('MOVE/object'));
				assert.ok(content.subarray(0, 1000).equals(read));
				inTurn(is('DELETE'), twice);
				await storage.delete('MOVE/object');
				assert.deepEqual(await keysOf(direct, ''), ['MKCOL/object', 'PROPFIND/object']);
			});
		}

		test('a server that goes on answering 503 fails the run, and nothing is left', async () => {
			proxy.onExchange = (exchange) => (is('MOVE')(exchange) ? { kind: 'answer', status: 503 } : undefined);
			await assert.rejects(storage.put('object', inChunks(content)), (error: LifeboatError) => {
				assert.match(error.message, /the server answered 503/);
				return code('STORAGE_FAILED')(error);
			});
			assert.deepEqual(await keysOf(direct, ''), []);
		});

		test('what may not be done is said, and not tried again', async () => {
			for (const [status, expected] of [
				[403, 'ACCESS_DENIED'],
				[411, 'STORAGE_FAILED'],
				[413, 'FILE_TOO_LARGE'],
				[423, 'LOCKED'],
				[507, 'DISK_FULL'],
			] as const) {
				proxy.log.length = 0;
				inTurn(is('PUT'), Array<Fault>(2).fill({ kind: 'answer', status }));
				await assert.rejects(
					storage.put('object', inChunks(content.subarray(0, 10))),
					(error: LifeboatError) => {
						assert.equal(error.code, expected);
						assert.match(
							error.message,
							/^Uploading object to WebDAV folder backups\/\d+ at 127\.0\.0\.1:\d+ failed: /,
						);
						if (status === 411) assert.match(error.message, /411/);
						return code(expected)(error);
					},
				);
				assert.ok(proxy.log.filter((line) => line.startsWith('PUT')).length <= 2);
			}
		});

		test('a server that ignores ranges is refused', async () => {
			await direct.put('object', inChunks(content));
			proxy.onExchange = (exchange) => (is('GET')(exchange) ? { kind: 'ignore-range' } : undefined);
			await assert.rejects(storage.get('object', { range: { start: 10, end: 20 } }), code('STORAGE_FAILED'));
			const whole = await buffer(await storage.get('object', { range: { start: 0 } }));
			assert.ok(content.equals(whole));
		});

		test('a claim that a killed process left behind is removed when it is old', async () => {
			await crashBeforeRename(settings, 'object', 'MOVE');
			assert.equal((await leftovers()).length, 2);
			assert.equal(await direct.removeUnfinished('', new Date(Date.now() - 3_600_000)), 0);
			assert.equal(await direct.removeUnfinished('', new Date(Date.now() + 3_600_000)), 2);
			await direct.put('object', inChunks(content));
		});
	});
}
