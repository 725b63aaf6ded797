import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { packFiles } from '../../../lib/archive/pack';
import type { Artifact } from '../../../lib/artifact/artifact';
import type { Manifest, TableRows } from '../../../lib/artifact/manifest';
import { applyEncoding } from '../../../lib/artifact/transform';
import { compressionEncoding, decompressor } from '../../../lib/compression/compression';

import { known, now, sampleBytes, withBytes } from '../archive/helpers';

export type Known = Artifact & { manifest: Manifest; bytes: Buffer };

export const decoder = async (transformation: Manifest['transformations'][number]) => {
	assert.equal(transformation.type, 'compression');
	return decompressor(transformation);
};

export async function compressed(artifact: Artifact, name: 'gzip' | 'zstd' = 'zstd'): Promise<Known> {
	return await known(applyEncoding(artifact, compressionEncoding(name)));
}

/** The same backup, its manifest as if these had been its bytes all along: only the format can tell. */
export async function forged(
	original: Known,
	content: Buffer,
	changes: Partial<Manifest> = {},
): Promise<Known> {
	const digest = { size: content.length, sha256: createHash('sha256').update(content).digest('hex') };
	return withBytes(
		{ ...original.manifest, transformations: [], content: digest, stored: digest, ...changes },
		content,
	);
}

export async function archiveOf(folder: string): Promise<Known> {
	await mkdir(join(folder, 'in/sub'), { recursive: true });
	await writeFile(join(folder, 'in/a'), sampleBytes(1500));
	await writeFile(join(folder, 'in/sub/b'), 'b');
	return await known(packFiles({ name: 'files', now, paths: [join(folder, 'in')] }));
}

export const tables: TableRows[] = [
	{ schema: 'public', name: 'orders', rows: 3 },
	{ schema: 'public', name: 'empty', rows: 0 },
	{ schema: 'Odd "Schema"', name: 'Größe', rows: 2 },
];

export const dumpText = `--
-- PostgreSQL database dump
--

SET standard_conforming_strings = on;

CREATE FUNCTION public.trap() RETURNS text LANGUAGE sql AS $_$
COPY public.orders (id) FROM stdin;
9
\\.
-- PostgreSQL database dump complete
$_$;

COPY public.orders (id, note) FROM stdin;
1\tone
2\ta line\\nbreak, and a backslash-dot: \\\\.
3\t\\N
\\.


COPY public.empty (id) FROM stdin;
\\.


COPY "Odd ""Schema"""."Größe" (id) FROM stdin;
1
2
\\.


COMMENT ON TABLE public.orders IS 'it''s
COPY public.orders (id) FROM stdin;
';

--
-- PostgreSQL database dump complete
--

`;
