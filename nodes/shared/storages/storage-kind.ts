import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import type { Storage } from '../../../lib/storage/storage';
import { requiredText, textParameter } from '../parameters';

/** The fields of one storage in the panel, and what an item says in them. */
export interface StorageFields {
	context: IExecuteFunctions;
	itemIndex: number;
	/** A field's value as the panel has it; `fallback` where it isn't shown. */
	value: (name: string, fallback?: unknown) => unknown;
	/** A field's text without white space around it; empty where it isn't shown. */
	text: (name: string) => string;
	/** As `text`. @throws LifeboatError `INVALID_OPTION` when it is empty. */
	required: (name: string, displayName: string) => string;
}

/** A kind of storage as the nodes offer it: one line in `kinds.ts`. */
export interface StorageKind {
	/** In workflows: `s3`. */
	value: string;
	/** In the list: `S3-Compatible Storage`. */
	name: string;
	description: string;
	/** The type of credential it takes, if any. */
	credential?: string;
	/** Whether it also takes a key that is sent with each request, where an option asks for it. */
	takesCustomerKey?: boolean;
	/** Its own fields. They are shown for this storage only; no need to say so. */
	properties: INodeProperties[];
	/** The caller closes what it returns. */
	open: (fields: StorageFields) => Promise<Storage>;
}

/**
 * The fields of one item.
 *
 * @param nameOf the parameter's name for a field's, where a node has a second storage.
 */
export function storageFields(
	context: IExecuteFunctions,
	itemIndex: number,
	nameOf: (field: string) => string,
): StorageFields {
	return {
		context,
		itemIndex,
		value: (name, fallback = '') => context.getNodeParameter(nameOf(name), itemIndex, fallback) as unknown,
		text: (name) => textParameter(context, nameOf(name), itemIndex),
		required: (name, displayName) => requiredText(context, nameOf(name), itemIndex, displayName),
	};
}
