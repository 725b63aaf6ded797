import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A TCP proxy in front of a real server, that changes or cuts what passes. */
export interface TcpProxy {
	readonly port: number;
	/** Bytes that the server has sent, over all connections. */
	readonly received: () => number;
	/** Cuts all connections that are open. */
	cut(): void;
	stop(): Promise<void>;
}

export interface TcpProxyOptions {
	/** Changes what the server says. */
	change?: (data: Buffer) => Buffer | Promise<Buffer>;
	/** Cuts all connections once the server has sent so many bytes. */
	cutAfter?: number;
	/**
	 * Asked before each piece passes, with the bytes that the client and the server have sent over all connections, this piece
	 * included. `stall` holds up the connection, in both directions, for good.
	 */
	fault?: (sent: number, received: number) => 'cut' | 'stall' | undefined;
}

/** Starts a proxy on a free loopback port. */
export async function startTcpProxy(targetPort: number, options: TcpProxyOptions = {}): Promise<TcpProxy> {
	const { change = (data) => data, cutAfter = Infinity } = options;
	const sockets = new Set<Socket>();
	let [sent, received] = [0, 0];
	const cut = () => {
		for (const socket of sockets) socket.destroy();
	};
	const server = createServer((client) => {
		const target = connect(targetPort, '127.0.0.1');
		for (const [socket, other] of [
			[client, target],
			[target, client],
		] as const) {
			sockets.add(socket);
			// A cut connection is what this proxy is for.
			socket.on('error', () => other.destroy());
			socket.on('close', () => {
				sockets.delete(socket);
				other.destroy();
			});
			socket.on('drain', () => other.resume());
		}
		/** Whether a piece may pass. */
		const passes = () => {
			const fault = received > cutAfter ? 'cut' : options.fault?.(sent, received);
			if (fault === 'cut') cut();
			if (fault === 'stall') {
				for (const socket of [client, target])
					socket.removeAllListeners('data').removeAllListeners('drain').pause();
			}
			return fault === undefined;
		};
		client.on('data', (data) => {
			sent += data.length;
			if (passes() && !target.write(data)) client.pause();
		});
		target.on('data', (data) => {
			received += data.length;
			if (passes()) void forward(change(data));
		});
		const forward = async (data: Buffer | Promise<Buffer>) => {
			if (data instanceof Promise) {
				target.pause();
				data = await data;
				target.resume();
			}
			if (!client.write(data)) target.pause();
		};
	}).listen(0, '127.0.0.1');
	await once(server, 'listening');
	return {
		port: (server.address() as AddressInfo).port,
		received: () => received,
		cut,
		async stop() {
			cut();
			server.close();
			await once(server, 'close');
		},
	};
}
