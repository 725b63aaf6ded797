import { setInterval } from 'node:timers';

const begun = performance.now();

const stamp = () => `${((performance.now() - begun) / 1000).toFixed(1).padStart(6)} s`;

/** A line of what happens now, with the time since the start. */
export function say(text: string): void {
	console.log(`${stamp()}  ${text}`);
}

/** A heading. */
export function heading(text: string): void {
	console.log(`\n${stamp()}  ■ ${text}`);
}

/** Awaits something, and says every few seconds that it is still at it. `detail` tells more, where there is more to tell. */
export async function during<T>(what: string, work: Promise<T>, detail?: () => string): Promise<T> {
	const started = performance.now();
	const timer = setInterval(() => {
		const more = detail?.();
		say(`  … ${what}, ${seconds(performance.now() - started)} so far${more ? ` (${more})` : ''}`);
	}, 3000);
	try {
		return await work;
	} finally {
		clearInterval(timer);
	}
}

/** `1.4 s` of milliseconds. */
export const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`;

/** `12.3 MB` of bytes. */
export function size(bytes: number): string {
	if (bytes < 1000) return `${bytes} bytes`;
	return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** `1,234`. */
export const count = (number: number) => number.toLocaleString('en');
