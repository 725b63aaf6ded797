import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const file = join(__dirname, '../../../../../lib/databases/postgres/dump/baseline-module.ts');

/** A module with one function, `run`, which counts down. @param name what tells V8 that it is another module. */
const moduleBytes = (name: string) =>
	Buffer.from(
		`0061736d01000000 010501 60017f00 03020100 0707010372756e0000 0a10010e00 034020004101 6b22000d000b0b 000201${Buffer.from(name).toString('hex')}`.replaceAll(
			' ',
			'',
		),
		'hex',
	).toString('base64');

test('only the module that is compiled for little memory is not optimised', async () => {
	const script = `
		const { compileBaseline } = require(${JSON.stringify(file)});
		const run = (module) => new WebAssembly.Instance(module).exports.run(20_000_000);
		const bytes = (text) => Buffer.from(text, 'base64');
		run(compileBaseline(bytes('${moduleBytes('a')}')));
		console.log('another one');
		run(new WebAssembly.Module(bytes('${moduleBytes('b')}')));`;
	const options = ['--import', 'tsx', '--trace-wasm-compilation-times', '--wasm-sync-tier-up'];
	const { stdout } = await promisify(execFile)(process.execPath, [...options, '-e', script]);
	const [own, other] = stdout.split('another one');
	assert.match(own!, /using Liftoff/);
	assert.doesNotMatch(own!, /using TurboFan/);
	assert.match(other!, /using TurboFan/);
});
