import { Socket } from 'node:net';

/** As much as a system buffers for a socket, by and large. */
const readSize = 512 * 1024;

/**
 * A socket for receiving much: it reads into one buffer that it uses again and again, and makes no garbage for each 64 KiB.
 *
 * Who listens to `data` gets copies. A borrower gets the buffer itself instead, which is valid for the time of the call only.
 */
export class LargeReadSocket extends Socket {
	borrower: ((bytes: Buffer) => void) | undefined;

	constructor() {
		const buffer = Buffer.allocUnsafeSlow(readSize);
		const callback = (length: number): boolean => {
			const bytes = buffer.subarray(0, length);
			if (this.borrower) this.borrower(bytes);
			else this.emit('data', Buffer.from(bytes));
			return true;
		};
		super({ onread: { buffer, callback } });
	}
}
