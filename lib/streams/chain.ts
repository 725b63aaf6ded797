import { addAbortSignal, pipeline, type Duplex, type Readable } from 'node:stream';

import { connect } from './neighbours';

/**
 * Lets a signal destroy a stream, also one that nobody reads yet: without a listener of its own the error of such a stream
 * would end the whole process. Who reads it later still gets that error.
 */
export function abortable<Stream extends Readable>(stream: Stream, signal: AbortSignal | undefined): Stream {
	stream.on('error', () => {});
	if (signal) addAbortSignal(signal, stream);
	return stream;
}

/**
 * Joins a source and transforms into one readable whose life they share: an error or an early end anywhere destroys
 * every stage, and reaches whoever reads the result. Nothing flows before the result is read.
 *
 * Unlike `stream/promises` pipeline it has no promise that could go unawaited: the reader of the result, itself a
 * pipeline, is the one that learns of the failure. Stages get what the one before them offers.
 *
 * @param signal when it aborts, all stages are destroyed with an AbortError.
 */
export function chain(source: Readable, transforms: readonly Duplex[], signal?: AbortSignal): Readable {
	let last = source;
	for (const transform of transforms) {
		connect(last, transform);
		last = transform;
	}
	if (transforms.length > 0) {
		// The callback only keeps the error from being thrown: pipeline has destroyed `last` with it.
		pipeline([source, ...transforms], (error) => {
			if (error && !last.destroyed) last.destroy(error);
		});
	}
	return abortable(last, signal);
}
