// Runs in a thread of its own: hashes pieces of shared memory as they come, and says so of each.
import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';

/** A piece to hash; undefined at the end. */
export type HashRequest = Uint8Array | undefined;

/** What the end is answered with; undefined for a piece that may be used again. */
export type HashAnswer = Uint8Array | undefined;

const hash = createHash('sha1');
parentPort!.on('message', (piece: HashRequest) => {
	const answer: HashAnswer = piece ? void hash.update(piece) : hash.digest();
	parentPort!.postMessage(answer);
});
