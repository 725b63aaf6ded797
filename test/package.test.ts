import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';

import { preProcessFile } from 'typescript';

const root = join(__dirname, '..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
	dependencies: Record<string, string>;
	peerDependencies: Record<string, string>;
	n8n: { nodes: string[]; credentials: string[] };
};

/** Packages that the published code names in imports. */
function importedPackages(): Set<string> {
	const imported = new Set<string>();
	for (const file of globSync('{lib,nodes,credentials}/**/*.ts', { cwd: root })) {
		for (const { fileName } of preProcessFile(readFileSync(join(root, file), 'utf8')).importedFiles) {
			if (fileName.startsWith('.') || isBuiltin(fileName)) continue;
			const parts = fileName.split('/');
			imported.add(parts.slice(0, fileName.startsWith('@') ? 2 : 1).join('/'));
		}
	}
	return imported;
}

test('what the published code imports is a dependency', () => {
	// n8n's own installer strips everything but these; n8n itself brings its peers.
	const known = { ...manifest.dependencies, ...manifest.peerDependencies };
	assert.deepEqual(
		[...importedPackages()].filter((name) => !(name in known)),
		[],
	);
});

test('each dependency is imported, or wanted by one that is', () => {
	const imported = importedPackages();
	const peers = [...imported].flatMap((name) => {
		const path = join(root, 'node_modules', name, 'package.json');
		const { peerDependencies = {} } = JSON.parse(readFileSync(path, 'utf8')) as Partial<typeof manifest>;
		return Object.keys(peerDependencies);
	});
	assert.deepEqual(
		Object.keys(manifest.dependencies).filter((name) => !imported.has(name) && !peers.includes(name)),
		[],
	);
});

test('package.json lists every node and credential', () => {
	const built = (pattern: string) =>
		globSync(pattern, { cwd: root })
			.map((file) => `dist/${file.replace(/\.ts$/, '.js')}`)
			.sort();
	assert.deepEqual(manifest.n8n.nodes, built('nodes/*/*.node.ts'));
	assert.deepEqual(manifest.n8n.credentials, built('credentials/*.credentials.ts'));
});
