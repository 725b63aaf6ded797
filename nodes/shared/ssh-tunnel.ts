import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import type {
	ICredentialDataDecryptedObject,
	IExecuteFunctions,
	ILoadOptionsFunctions,
	SSHCredentials,
} from 'n8n-workflow';

import { LifeboatError } from '../../lib/errors';

/** n8n closes SSH clients that weren't "used" for 300 s, busy or not. */
const touchEveryMs = 60_000;

/** A loopback port whose connections come out at the far end of an SSH connection. */
export interface Tunnel {
	host: string;
	port: number;
	close: () => Promise<void>;
}

/** What is used of ssh2's client, whose types are not part of n8n's. */
interface ForwardingClient {
	forwardOut(
		sourceHost: string,
		sourcePort: number,
		host: string,
		port: number,
		callback: (error: Error | undefined, channel: Duplex) => void,
	): unknown;
}

/** Opens a tunnel with n8n's own SSH client, kept alive for as long as it is open. */
export async function openTunnel(
	context: IExecuteFunctions | ILoadOptionsFunctions,
	credential: ICredentialDataDecryptedObject,
	target: { host: string; port: number },
): Promise<Tunnel> {
	const ssh = credential as unknown as SSHCredentials;
	const client = await connect(context, ssh);
	const sockets = new Set<Socket>();
	const server = createServer((socket) => {
		sockets.add(socket.setNoDelay(true));
		socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
		client.forwardOut('127.0.0.1', socket.remotePort ?? 0, target.host, target.port, (error, channel) => {
			if (error) {
				socket.destroy(error);
				return;
			}
			// When one direction fails, the database client sees its connection end and says so.
			void Promise.allSettled([pipeline(socket, channel), pipeline(channel, socket)]).then(() =>
				socket.destroy(),
			);
		});
	}).listen(0, '127.0.0.1');
	await once(server, 'listening');
	const timer = setInterval(() => context.helpers.updateLastUsed(client as never), touchEveryMs);
	timer.unref();
	return {
		host: '127.0.0.1',
		port: (server.address() as AddressInfo).port,
		async close() {
			clearInterval(timer);
			for (const socket of sockets) socket.destroy();
			if (server.listening) {
				server.close();
				await once(server, 'close');
			}
		},
	};
}

async function connect(
	context: IExecuteFunctions | ILoadOptionsFunctions,
	credentials: SSHCredentials,
): Promise<ForwardingClient> {
	try {
		return (await context.helpers.getSSHClient(credentials)) as ForwardingClient;
	} catch (error) {
		throw new LifeboatError(
			'SSH_FAILED',
			`The SSH tunnel to ${credentials.sshHost}:${credentials.sshPort} could not be opened`,
			{
				hint: 'Check the SSH host, port, user and key in the Postgres credential',
				cause: error,
			},
		);
	}
}
