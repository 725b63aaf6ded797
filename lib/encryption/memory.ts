/**
 * Gives the memory of a buffer that nobody needs any more back at once; the buffer is empty afterwards. Left to the garbage
 * collector, what a cipher puts out would pass through ever new memory: tens of megabytes, none of them in the processor's
 * cache, which takes longer than the encryption itself.
 *
 * @param bytes shared with nobody. One that shares its memory with others, as small buffers of Node do, is left alone.
 */
export function freeMemory(bytes: Buffer): void {
	const { buffer } = bytes;
	if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length) buffer.transfer(0);
}
