import type { Duplex, Readable } from 'node:stream';

import type { BufferPool, GiveBack } from './buffer-pool';

/** Bytes that a stream has given and can give once more. */
export interface SecondReading {
	/** The same bytes from the first one on, unless they were changed meanwhile. A piece is good until the next one is asked for. */
	read(): AsyncIterable<Buffer>;
	/** To be called when it is not needed, or not any more. */
	release(): Promise<void>;
}

/** What a stream can do for the one that reads it. */
export interface Offer {
	/** What it puts out are pieces of this pool. */
	pool: BufferPool;
	/** Keeps open what it reads from, until that is released. Not there if it can't be read again. */
	readAgain?: (() => SecondReading) | undefined;
}

/** What the reader of a stream got. */
export interface Accepted {
	/** Takes back what is used up. */
	giveBack: GiveBack;
	readAgain: (() => SecondReading) | undefined;
}

const offered = new WeakMap<Readable, Offer>();

const accepting = new WeakMap<Duplex, (accepted: Accepted) => void>();

const passing = new WeakSet<Duplex>();

/** Says what a stream can do for its reader. */
export function offer(stream: Readable, what: Offer): void {
	offered.set(stream, what);
}

/**
 * Lets a transform have what is offered by the stream before it. It may give back what it has used up: at the latest when it asks for more,
 * or never.
 */
export function onOffer(transform: Duplex, accept: (accepted: Accepted) => void): void {
	accepting.set(transform, accept);
}

/**
 * Says that a transform hands on the very pieces it gets, keeps none of them, and reads them only before it hands them on: so what is offered
 * before it is offered behind it.
 */
export function passesOn(transform: Duplex): void {
	passing.add(transform);
}

/** For the one who reads a stream to its end; undefined if there is nothing. Only one reader gets it. */
export function acceptOffer(stream: Readable): Accepted | undefined {
	const found = offered.get(stream);
	offered.delete(stream);
	return found && { giveBack: found.pool.acceptReturns(), readAgain: found.readAgain };
}

/** Brings together a stream and the transform that it is piped into, and nothing else is. */
export function connect(before: Readable, transform: Duplex): void {
	const accept = accepting.get(transform);
	if (accept) {
		const accepted = acceptOffer(before);
		if (accepted) accept(accepted);
	} else if (passing.has(transform)) {
		const found = offered.get(before);
		if (!found) return;
		offered.delete(before);
		offered.set(transform, found);
	}
}
