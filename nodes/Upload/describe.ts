import type { IDataObject } from 'n8n-workflow';

import type { Manifest } from '../../lib/artifact/manifest';
import type { StoredBackup } from '../../lib/storage/backups';

/** A stored backup as item JSON: what its manifest and the files beside it say, in one line. */
export function describeStored({ key, size, manifest, problem, marks }: StoredBackup): IDataObject {
	if (!manifest) return { key, size, pinned: marks.pinned, problem };
	const { id, name, kind, createdAt, source, transformations, tables, chain } = manifest;
	const { proof } = marks;
	return {
		...{ key, id, name, kind, createdAt, size },
		contentSize: manifest.content.size,
		...describeEncryption(transformations),
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

/** With what it is encrypted, and what opens it: the public halves of keys, or a passphrase. */
function describeEncryption(transformations: Manifest['transformations']): IDataObject {
	const encryptions = transformations.filter((step) => step.type === 'encryption');
	if (encryptions.length === 0) return { encrypted: false };
	return {
		encrypted: true,
		encryptedWith: encryptions.map(({ format }) => format).join(', '),
		encryptedFor: encryptions.flatMap(({ recipients = [], passphrase }) => [
			...recipients,
			...(passphrase ? ['passphrase'] : []),
		]),
	};
}
