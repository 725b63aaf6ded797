/** What is used of picomatch, which brings no types. */
declare module 'picomatch' {
	function picomatch(
		pattern: string,
		options?: { dot?: boolean; nonegate?: boolean },
	): (path: string) => boolean;
	namespace picomatch {
		function scan(
			pattern: string,
			options?: { unescape?: boolean },
		): { isGlob: boolean; base: string; glob: string };
	}
	export = picomatch;
}
