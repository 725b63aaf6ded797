import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const root = join(__dirname, '..');
const pages = globSync(['*.md', 'docs/*.md', 'workflows/*.md'], { cwd: root });

/** Anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(page: string): string[] {
	const headings = readFileSync(page, 'utf8').matchAll(/^#+ (.*)$/gm);
	return [...headings].map(([, heading]) =>
		heading!
			.toLowerCase()
			.replaceAll(/[^\p{L}\p{N} _-]/gu, '')
			.replaceAll(' ', '-'),
	);
}

function linksOf(page: string): string[] {
	const text = readFileSync(join(root, page), 'utf8').replaceAll(/^```[\s\S]*?^```/gm, '');
	const found = [...text.matchAll(/\]\(([^)\s]+)\)/g), ...text.matchAll(/<img src="([^"]+)"/g)];
	return found.map(([, link]) => link!).filter((link) => !link.startsWith('https://'));
}

test('links between the pages lead somewhere', () => {
	const broken = pages.flatMap((page) =>
		linksOf(page)
			.filter((link) => {
				const [path, anchor] = link.split('#');
				const target = path ? join(root, dirname(page), path) : join(root, page);
				return !existsSync(target) || (anchor !== undefined && !anchorsOf(target).includes(anchor));
			})
			.map((link) => `${page}: ${link}`),
	);
	assert.deepEqual(broken, []);
	assert.ok(pages.length > 10 && linksOf('README.md').length > 20, 'the pages are found, and their links');
});

test('every page and every example workflow can be reached from the README', () => {
	const reached = new Set(['README.md']);
	// A set goes on with what is added to it on the way.
	for (const page of reached) {
		if (!page.endsWith('.md')) continue;
		for (const link of linksOf(page)) reached.add(join(dirname(page), link.split('#')[0]!));
	}
	const all = [...pages, ...globSync('workflows/*.json', { cwd: root })];
	assert.deepEqual(
		all.filter((page) => !reached.has(page)),
		[],
	);
});
