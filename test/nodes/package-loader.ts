import './engine-environment';

import { join } from 'node:path';

import { PackageDirectoryLoader } from 'n8n-core';

const root = join(__dirname, '../..');

/** n8n's own loader of node packages, pointed at the TypeScript sources: tests need no build. */
class SourceLoader extends PackageDirectoryLoader {
	/** package.json names the files of the build. */
	protected override resolvePath(file: string): string {
		return super.resolvePath(file.replace(/^dist\//, '').replace(/\.js$/, '.ts'));
	}
}

/** Loads the nodes and credential types that package.json lists, the way n8n does at its start. */
async function loadPackage(): Promise<PackageDirectoryLoader> {
	const loader = new SourceLoader(root);
	await loader.loadAll();
	return loader;
}

let loading: Promise<PackageDirectoryLoader> | undefined;

/** The project's package as n8n sees it, loaded once. */
export const nodePackage = () => (loading ??= loadPackage());
