/** Reads to the end. Gives what a generator returned. */
export async function drain<Result>(iterable: AsyncGenerator<unknown, Result, undefined>): Promise<Result> {
	for (;;) {
		const result = await iterable.next();
		if (result.done) return result.value;
	}
}
