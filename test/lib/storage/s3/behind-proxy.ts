import { after, before, beforeEach } from 'node:test';

import { s3Storage, type S3Settings } from '../../../../lib/storage/s3/s3-storage';
import type { Storage } from '../../../../lib/storage/storage';
import { startFaultProxy, type FaultProxy } from '../../../servers/fault-proxy';
import { startRadosgw, type RadosgwServer, type S3ServerSettings } from '../../../servers/radosgw';

/** A server, the way to it, and a bucket that is another one in each test. */
export interface S3BehindProxy {
	readonly server: RadosgwServer;
	readonly proxy: FaultProxy;
	/** Of the bucket, past the proxy. */
	settings: S3ServerSettings;
	/** A storage that goes through the proxy, and doesn't bridge outages. */
	storage(more?: Partial<S3Settings>): Storage;
}

/** Starts a server with a proxy before it for the tests that follow, and gives each of them a bucket and a quiet proxy. */
export function s3BehindProxy(): S3BehindProxy {
	let server: RadosgwServer;
	let proxy: FaultProxy;
	let settings: S3ServerSettings;
	before(async () => {
		server = await startRadosgw();
		proxy = await startFaultProxy(server.endpoint);
	});
	after(async () => {
		await proxy?.stop();
		await server?.stop();
	});
	beforeEach(async () => {
		settings = await server.bucket();
		proxy.onExchange = () => undefined;
		proxy.log.length = 0;
	});
	return {
		get server() {
			return server;
		},
		get proxy() {
			return proxy;
		},
		get settings() {
			return settings;
		},
		set settings(other) {
			settings = other;
		},
		storage: (more = {}) =>
			s3Storage({ ...settings, endpoint: proxy.endpoint, timeout: 2000, patience: 0, ...more }),
	};
}
