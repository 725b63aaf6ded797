import { Readable } from 'node:stream';

/**
 * A stream of what a generator yields. A generator can't be left while it waits for a server or a program: whoever destroys the stream
 * ends that wait, too.
 *
 * @param stop aborted when the stream is destroyed.
 */
export function stoppable(bytes: AsyncIterable<Buffer>, stop: AbortController): Readable {
	const stream = Readable.from(bytes, { objectMode: false, highWaterMark: 1024 * 1024 });
	const destroy = stream._destroy.bind(stream);
	stream._destroy = (error, callback) => {
		stop.abort();
		destroy(error, callback);
	};
	return stream;
}
