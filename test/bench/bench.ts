// `npm run bench` runs every benchmark in this folder, `npm run bench -- NAME` the file NAME.ts, which exports `bench`, or all
// whose names begin with NAME-.
// A line `NAME ratio=R limit=L` states what was measured against what is demanded; above its limit the run fails.
import { readdirSync } from 'node:fs';

const names = readdirSync(__dirname)
	.filter((file) => file.endsWith('.ts') && file !== 'bench.ts')
	.map((file) => file.slice(0, -'.ts'.length));

async function main(chosen: string[]): Promise<void> {
	const exceeded: string[] = [];
	const log = console.log;
	console.log = (...args: unknown[]) => {
		log(...args);
		const [, name, ratio, limit] = /^(\S+) ratio=([\d.]+) limit=([\d.]+)/.exec(String(args[0])) ?? [];
		if (name && Number(ratio) > Number(limit)) exceeded.push(name);
	};
	const wanted = chosen.flatMap((name) => {
		const matching = names.filter((each) => each === name || each.startsWith(`${name}-`));
		if (matching.length > 0) return matching;
		throw new Error(`There is no benchmark ${name}; there are ${names.join(', ')}`);
	});
	for (const name of new Set(wanted)) {
		const { bench } = (await import(`./${name}`)) as { bench: () => Promise<void> };
		await bench();
	}
	if (exceeded.length > 0) throw new Error(`Above the limit: ${exceeded.join(', ')}`);
}

main(process.argv.length > 2 ? process.argv.slice(2) : names).catch((error: Error) => {
	console.error(error.message);
	process.exitCode = 1;
});
