/** Bytes from which on it is worth it. Of the packets of SSH only those with the data of files have so many. */
const LARGE = 16 * 1024;

/**
 * Gives the memory behind a buffer back at once, if it is large: the garbage collector would let tens of megabytes gather, and then look
 * through all objects of the process. To be called only with memory that nobody else uses; it is empty afterwards.
 */
export function freeLarge({ buffer }: Uint8Array): void {
	// Small buffers of Node share memory.
	if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < LARGE || buffer.byteLength === Buffer.poolSize)
		return;
	buffer.transfer(0);
}
