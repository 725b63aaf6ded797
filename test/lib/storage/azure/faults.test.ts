import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import type { LifeboatError } from '../../../../lib/errors';
import { azureStorage, type AzureSettings } from '../../../../lib/storage/azure/azure-storage';
import { blockSizes } from '../../../../lib/storage/azure/blocks';
import { partsInFlight } from '../../../../lib/storage/parts';
import type { Storage } from '../../../../lib/storage/storage';
import { startAzurite, type AzureServerSettings, type AzuriteServer } from '../../../servers/azurite';
import { makeCertificate } from '../../../servers/certificate';
import { startFaultProxy, type Exchange, type Fault, type FaultProxy } from '../../../servers/fault-proxy';
import { freePort } from '../../../servers/ports';
import { code, inChunks, keysOf } from '../conformance';

const MiB = 1024 * 1024;
const size = 17 * MiB;
const content = randomBytes(size);

let server: AzuriteServer;
let proxy: FaultProxy;
let settings: AzureServerSettings;
/** Through the proxy. */
let storage: Storage;
/** Past the proxy. */
let direct: Storage;

before(async () => {
	server = await startAzurite();
	proxy = await startFaultProxy(server.endpoint);
});
after(async () => {
	await proxy.stop();
	await server.stop();
});
beforeEach(async () => {
	settings = await server.container();
	direct = azureStorage(settings);
	storage = through({ timeout: 1500, patience: 5000 });
	proxy.log.length = 0;
});
afterEach(() => {
	proxy.onExchange = () => undefined;
});

const through = (more: Partial<AzureSettings>) =>
	azureStorage({ ...settings, endpoint: `${proxy.endpoint}/${settings.account}`, ...more });

/** The faults one after the other, for the exchanges that fit; then none. */
function inTurn(fits: (exchange: Exchange) => boolean, faults: Fault[]): void {
	const left = [...faults];
	proxy.onExchange = (exchange) => (fits(exchange) ? left.shift() : undefined);
}

const isGet = ({ method }: Exchange) => method === 'GET';
const isBlock = ({ url }: Exchange) => /comp=block&/.test(url);
const isCommit = ({ method, url }: Exchange) => method === 'PUT' && url.includes('comp=blocklist');

for (const third of [0, 1, 2, 3]) {
	const at = Math.floor((size * third) / 3) - (third === 3 ? 1 : 0);

	test(`a download that is cut after ${third} thirds is taken up where it ended`, async () => {
		await direct.put('object', inChunks(content));
		inTurn(isGet, [{ kind: 'cut-response', after: at }]);
		assert.ok(content.equals(await buffer(await storage.get('object'))));
		inTurn(isGet, [{ kind: 'cut-response', after: at >> 1 }]);
		const range = { start: 1000, end: size - 1001 };
		assert.ok(content.subarray(1000, -1000).equals(await buffer(await storage.get('object', { range }))));
	});

	test(`an upload that is cut after ${third} thirds of a block is sent again`, async () => {
		inTurn(isBlock, Array<Fault>(2).fill({ kind: 'cut-request', after: Math.min(at / 2, 8 * MiB - 1) }));
		await storage.put('object', inChunks(content));
		assert.ok(content.equals(await buffer(await direct.get('object'))));
	});
}

test('a transfer that is cut again and again fails: nothing is visible, and nothing ends early', async () => {
	const impatient = through({ timeout: 400, patience: 0 });
	proxy.onExchange = (exchange) =>
		isBlock(exchange) ? { kind: 'cut-request', after: 1_000_000 } : undefined;
	const source = inChunks(content);
	await assert.rejects(impatient.put('object', source), code('CONNECTION_FAILED'));
	assert.ok(source.destroyed);
	assert.deepEqual(await keysOf(direct, ''), []);
	await direct.put('object', inChunks(content));
	let first = true;
	proxy.onExchange = () => {
		const after = first ? 5_000_000 : 0;
		first = false;
		return { kind: 'cut-response', after };
	};
	await assert.rejects(buffer(await impatient.get('object')), code('CONNECTION_FAILED'));
});

test('a download that stalls is taken up, and never goes on in another object', async () => {
	await direct.put('object', inChunks(content));
	inTurn(isGet, [{ kind: 'stall', after: 3_000_000 }]);
	assert.ok(content.equals(await buffer(await storage.get('object'))));
	inTurn(isGet, [{ kind: 'cut-response', after: 1_000_000 }]);
	const stream = await storage.get('object');
	await direct.put('object', inChunks(content), { ifExists: 'replace' });
	await assert.rejects(buffer(stream), code('INCOMPLETE'));
});

test('bytes damaged on their way up are noticed by the service', async () => {
	inTurn(isBlock, [{ kind: 'flip-request', at: 4_000_000 }]);
	await assert.rejects(storage.put('object', inChunks(content)), code('STORAGE_FAILED'));
	assert.deepEqual(await keysOf(direct, ''), []);
});

test('an answer that is lost does not make a success a failure', async () => {
	inTurn(isCommit, [{ kind: 'lose-answer' }]);
	await storage.put('object', inChunks(content.subarray(0, 1000)));
	inTurn(isCommit, [{ kind: 'lose-answer' }]);
	await storage.put('object', inChunks(content.subarray(0, 999)), { ifExists: 'replace' });
	assert.equal((await direct.stat('object'))?.size, 999);
	await assert.rejects(storage.put('object', inChunks(content)), code('ALREADY_EXISTS'));
});

for (const status of [500, 503]) {
	test(`a service that answers ${status} is asked again, and in the end fails the run`, async () => {
		const twice: Fault[] = Array<Fault>(2).fill({ kind: 'answer', status });
		for (const [index, fits] of [isBlock, isCommit].entries()) {
			inTurn(fits, twice);
			await storage.put(`object ${index}`, inChunks(content.subarray(0, 1000)));
		}
		inTurn(isGet, twice);
		assert.equal((await buffer(await storage.get('object 0'))).length, 1000);
		inTurn(isGet, twice);
		assert.deepEqual(await keysOf(storage, ''), ['object 0', 'object 1']);
		inTurn(({ method }) => method === 'DELETE', twice);
		await storage.delete('object 0');
		proxy.onExchange = (exchange) => (isCommit(exchange) ? { kind: 'answer', status } : undefined);
		const impatient = through({ patience: 1000 });
		await assert.rejects(impatient.put('never', inChunks(content.subarray(0, 10))), code('STORAGE_FAILED'));
		assert.deepEqual(await keysOf(direct, ''), ['object 1']);
	});
}

test('a wrong key, a container or a server that is not there, are told, and not tried again', async () => {
	const nobody = `http://127.0.0.1:${await freePort()}/${settings.account}`;
	const wrongKey = Buffer.from('not the key').toString('base64');
	for (const [change, expected] of [
		[{ key: wrongKey }, 'ACCESS_DENIED'],
		[{ container: 'missing' }, 'CONTAINER_NOT_FOUND'],
		[{ endpoint: nobody }, 'CONNECTION_FAILED'],
	] as const) {
		const wrong = through({ patience: 0, ...change });
		const fails = (error: LifeboatError) => {
			assert.doesNotMatch(`${error.message} ${error.hint}`, new RegExp(`${wrongKey}|not the key`));
			return code(expected)(error);
		};
		proxy.log.length = 0;
		await assert.rejects(wrong.put('key', inChunks(content), { ifExists: 'replace' }), fails);
		if (expected === 'ACCESS_DENIED') assert.ok(proxy.log.length <= 3, proxy.log.join('; '));
		const others = [keysOf(wrong, ''), wrong.stat('key'), wrong.get('key'), wrong.delete('key')];
		await Promise.all(others.map((each: Promise<unknown>) => assert.rejects(each, fails)));
	}
	for (const change of [{ account: 'A b' }, { container: 'Upper' }, { endpoint: 'ftp://host' }]) {
		assert.throws(() => azureStorage({ ...settings, ...change }), code('INVALID_OPTION'));
	}
});

test('blocks of other programs are not removed', async () => {
	const blob = server.client.getContainerClient(settings.container).getBlockBlobClient('foreign');
	await blob.stageBlock(Buffer.from('theirs').toString('base64'), 'abc', 3);
	await direct.put('empty', inChunks(Buffer.alloc(0)));
	assert.equal(await direct.removeUnfinished('', new Date(Date.now() + 3_600_000)), 0);
	assert.equal((await blob.getBlockList('uncommitted')).uncommittedBlocks?.length, 1);
	assert.deepEqual(await keysOf(direct, ''), ['empty']);
});

test('blocks are chosen so that everything the service takes fits, within bounded memory', () => {
	const TiB = 1024 * 1024 * MiB;
	for (const bytes of [0, 1, 390 * 1024 * MiB, 5 * TiB, 190 * TiB]) {
		const blockSize = blockSizes(bytes)(1);
		assert.ok(Math.ceil(bytes / blockSize) <= 50_000 && blockSize <= 4000 * MiB);
		assert.ok(partsInFlight(blockSize) >= 1);
		assert.ok(partsInFlight(blockSize) * blockSize <= Math.max(64 * MiB, blockSize));
	}
	assert.throws(() => blockSizes(200 * TiB), code('FILE_TOO_LARGE'));
	const growing = blockSizes(undefined);
	let sum = 0;
	for (let number = 1; number <= 50_000; number += 1) sum += growing(number);
	assert.ok(sum > 20 * TiB);
	assert.deepEqual([growing(1), growing(5000), growing(5001)], [8 * MiB, 8 * MiB, 16 * MiB]);
});

test('a certificate is checked, against an authority of one’s own if there is one', async () => {
	const certificate = await makeCertificate();
	const secure = await startAzurite({ tls: certificate });
	try {
		const there = await secure.container();
		const refused = azureStorage(there);
		await assert.rejects(keysOf(refused, ''), (error: LifeboatError) => {
			assert.match(`${error.message} ${error.hint}`, /certificate.*CA certificate/);
			return code('CONNECTION_FAILED')(error);
		});
		await refused.close();
		for (const more of [{ ca: certificate.pem }, { ignoreTlsErrors: true }]) {
			const trusting = azureStorage({ ...there, ...more });
			await trusting.put('key', inChunks(content), { ifExists: 'replace' });
			assert.ok(content.equals(await buffer(await trusting.get('key'))));
			await trusting.close();
			await trusting.close();
		}
	} finally {
		await secure.stop();
		await certificate.remove();
	}
});
