import { setFlagsFromString } from 'node:v8';

// The types are the browser's, which this project doesn't load.
const { WebAssembly } = globalThis as unknown as {
	WebAssembly: { Module: new (bytes: Uint8Array) => object };
};

const flag = '--wasm-tiering-budget';
/** V8's own, in Node 22 and 24. */
const usualBudget = 13_000_000;
const hugeBudget = 2_000_000_000;

/**
 * Compiles a WebAssembly module whose functions V8's optimising compiler leaves alone, unless they run for minutes.
 *
 * It would take up those that have run for a moment, and the largest of pg_dump's costs it 48 MiB and more than half a second, to no
 * gain: pg_dump waits for the server, mostly. When that is, V8 counts with a budget for each function, which a module is given when it
 * is made. The flag says how large it is; it changes nothing that runs or is compiled already, and is set for that moment only.
 */
export function compileBaseline(bytes: Uint8Array): object {
	// Who starts Node with a budget of his own keeps it.
	if (process.execArgv.some((option) => option.replaceAll('_', '-').startsWith(flag))) {
		return new WebAssembly.Module(bytes);
	}
	setFlagsFromString(`${flag}=${hugeBudget}`);
	try {
		return new WebAssembly.Module(bytes);
	} finally {
		setFlagsFromString(`${flag}=${usualBudget}`);
	}
}
