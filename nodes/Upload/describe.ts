import type { IDataObject } from 'n8n-workflow';

import type { StoredBackup } from '../../lib/storage/backups';

/** A stored backup as item JSON: what its manifest and the files beside it say, in one line. */
export function describeStored({ key, size, manifest, problem, marks }: StoredBackup): IDataObject {
	if (!manifest) return { key, size, pinned: marks.pinned, problem };
	const { id, name, kind, createdAt, source, transformations, tables, chain } = manifest;
	const { proof } = marks;
	return {
		...{ key, id, name, kind, createdAt, size },
		contentSize: manifest.content.size,
		encrypted: transformations.some(({ type }) => type === 'encryption'),
		compression: transformations.find((step) => step.type === 'compression')?.format ?? 'none',
		proven: proof ? proof.passed : false,
		...(proof && { proof: { testedAt: proof.testedAt, passed: proof.passed, method: proof.method } }),
		pinned: marks.pinned,
		...(marks.pin?.reason !== undefined && { pinReason: marks.pin.reason }),
		...(chain && { chain: { parent: chain.parent, base: chain.base } }),
		source: source as unknown as IDataObject,
		...(tables ? { tables: tables.length, rows: tables.reduce((sum, { rows }) => sum + rows, 0) } : {}),
		...(problem ? { problem } : {}),
	};
}
