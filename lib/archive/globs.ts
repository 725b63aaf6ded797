import picomatch from 'picomatch';

/** Whether a path, or a name, matches. */
export type Matcher = (path: string) => boolean;

const options = { dot: true, nonegate: true } as const;

/** A matcher for one glob over whole paths. Names that start with a dot match like any other. */
export function globMatcher(pattern: string): Matcher {
	return picomatch(pattern, options);
}

/** A matcher for what to leave out: a glob that does not start at the root folder matches at any depth. */
export function exclusionMatcher(patterns: readonly string[]): Matcher {
	return anyOf(
		patterns.map((pattern) => {
			const path = withoutTrailingSlash(pattern);
			return globMatcher(path.startsWith('/') ? path : `**/${path}`);
		}),
	);
}

/**
 * What is chosen of an archive by globs over the names in it: each starts at its top, and a folder that matches stands for all it
 * holds. Without any, everything is.
 */
export class Inclusion {
	private readonly matchers: { pattern: string; matches: Matcher }[];

	/** The patterns that have not matched anything yet. */
	readonly idle: Set<string>;

	constructor(patterns: readonly string[]) {
		this.matchers = patterns.map((pattern) => ({
			pattern,
			matches: globMatcher(withoutTrailingSlash(pattern.replace(/^(?:\.?\/)+/, ''))),
		}));
		this.idle = new Set(patterns);
	}

	takes(name: string): boolean {
		if (this.matchers.length === 0) return true;
		let isTaken = false;
		for (let end = name.length; end > 0; end = name.lastIndexOf('/', end - 1)) {
			const part = name.slice(0, end);
			for (const { pattern, matches } of this.matchers) {
				// Once everything has matched something, the first match is enough.
				if (!(isTaken && !this.idle.has(pattern)) && matches(part)) {
					this.idle.delete(pattern);
					isTaken = true;
				}
			}
			if (isTaken && this.idle.size === 0) return true;
		}
		return isTaken;
	}
}

function anyOf(matchers: readonly Matcher[]): Matcher {
	return (path) => matchers.some((matches) => matches(path));
}

function withoutTrailingSlash(pattern: string): string {
	return pattern.replace(/(?<=[^/])\/+$/, '');
}

/** The folder in which a glob's matches lie, and how many levels below it they can be; undefined for a plain path. */
export function globBase(pattern: string): { base: string; depth: number } | undefined {
	const { isGlob, base, glob } = picomatch.scan(pattern, { unescape: true });
	if (!isGlob) return undefined;
	return { base: base || '/', depth: glob.includes('**') ? Infinity : maxParts(glob) };
}

/** Braces may hold slashes, so this only bounds. */
function maxParts(glob: string): number {
	return glob.split('/').length;
}
