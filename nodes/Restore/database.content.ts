import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

import type { IDataObject, IExecuteFunctions } from 'n8n-workflow';

import { openFile } from '../../lib/artifact/file-artifact';
import type { DatabaseSource, SequenceValue, TableRows } from '../../lib/artifact/manifest';
import { foreignContent } from '../../lib/databases/foreign-content';
import { proveDump } from '../../lib/databases/postgres/restore/prove-dump';
import { decoderWith } from '../../lib/encryption/decoder';
import { LifeboatError } from '../../lib/errors';
import { binaryData } from '../shared/artifacts';
import { encryptionKeys } from '../shared/credentials';
import { resolveAllowed } from '../shared/file-access';
import { requiredText } from '../shared/parameters';
import { cancelSignal } from '../shared/run';

import { verifiedContent } from './content';

/** The dump of a database, found whole. */
export interface DatabaseContent {
	/** Opens the dump itself from its start. */
	open: (signal?: AbortSignal) => Promise<Readable>;
	tables?: readonly TableRows[] | undefined;
	sequences?: readonly SequenceValue[] | undefined;
	/** How the database stored and sorted text, where a manifest says it. */
	locale?: DatabaseSource['locale'];
	/** Roles and tablespaces of a server, no database. */
	isGlobals: boolean;
	/** For the item that the node emits. */
	about: IDataObject;
}

/** What the node's fields say is to be restored, read once from start to end. */
export async function databaseContent(
	context: IExecuteFunctions,
	itemIndex: number,
): Promise<DatabaseContent> {
	const from = context.getNodeParameter('takeFrom', itemIndex, 'item') as 'item' | 'binary' | 'file';
	if (from === 'item') {
		const { artifact, manifest } = await verifiedContent(context, itemIndex, 'database');
		const source = manifest.source.type === 'database' ? manifest.source : undefined;
		return {
			open: async (signal) => (await artifact.open(signal)).stream,
			...{ tables: manifest.tables, sequences: manifest.sequences },
			locale: source?.locale,
			isGlobals: source?.globals === true,
			about: { name: manifest.name, dataOf: manifest.createdAt },
		};
	}
	const { open, what } = from === 'file' ? await fileOf(context, itemIndex) : binaryOf(context, itemIndex);
	const signal = cancelSignal(context);
	const decoder = decoderWith(await encryptionKeys(context, itemIndex));
	const content = await foreignContent(open, decoder, what, signal);
	const { format, isGlobals } = await proveDump(await content.open(signal), what);
	const layers = content.layers.map((layer) => layer.format).join(', ');
	return { open: content.open, isGlobals, about: { from: what, format, ...(layers && { layers }) } };
}

async function fileOf(context: IExecuteFunctions, itemIndex: number) {
	const path = await resolveAllowed(context, requiredText(context, 'filePath', itemIndex, 'File Path'));
	// pg_dump's directory format: a folder with this file in it.
	if (await stat(join(path, 'toc.dat')).catch(() => undefined)) {
		throw new LifeboatError(
			'UNSUPPORTED_FORMAT',
			`${path} is a dump in the directory format of pg_dump, which is not read here`,
			{
				hint: 'Restore it with pg_restore, and dump with --format=custom or as plain SQL in future',
			},
		);
	}
	return { open: async () => openFile(path), what: path };
}

function binaryOf(context: IExecuteFunctions, itemIndex: number) {
	const field = requiredText(context, 'binaryPropertyName', itemIndex, 'Input Binary Field');
	const { open, fileName } = binaryData(context, itemIndex, field);
	return { open, what: fileName ?? `binary field ${field}` };
}
