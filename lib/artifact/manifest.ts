import { z } from 'zod/v4';

import { LifeboatError } from '../errors';

/** The version of the manifest format that this package writes. Readers refuse a newer major one. */
export const MANIFEST_FORMAT_VERSION = 1;

/** An object whose unknown fields are kept, though the type doesn't speak of them: a manifest of a newer Lifeboat passes unharmed. */
function open<Shape extends z.core.$ZodShape>(shape: Shape): z.ZodObject<Shape> {
	return z.looseObject(shape);
}

const digest = open({
	/** Bytes. */
	size: z.number().int().nonnegative(),
	/** SHA-256, lower-case hexadecimal. */
	sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** Files are staged under this name: a manifest from outside must not lead out of their folder. */
const plainFileName = z
	.string()
	.min(1)
	.max(255)
	.refine((name) => !/[/\\\x00-\x1f\x7f]|^\.{1,2}$/.test(name), 'must be the plain name of a file');

const compression = open({
	type: z.literal('compression'),
	format: z.enum(['gzip', 'zstd']),
	level: z.number().int().optional(),
});

const keyDerivation = z.discriminatedUnion('kdf', [
	open({ kdf: z.literal('scrypt'), logN: z.number().int() }),
	open({ kdf: z.literal('pbkdf2-sha256'), rounds: z.number().int() }),
	/** Salted and iterated: `count` bytes are hashed. */
	open({ kdf: z.literal('openpgp-s2k'), hash: z.string(), count: z.number().int() }),
]);

const encryption = open({
	type: z.literal('encryption'),
	format: z.enum(['age', 'aes-256-gcm', 'openpgp']),
	/** The keys that can open it: age and SSH recipients, or fingerprints of OpenPGP keys. Never a secret. */
	recipients: z.array(z.string()).optional(),
	/** Present when a passphrase opens it: how the key is derived. */
	passphrase: keyDerivation.optional(),
	/** Fingerprints of the OpenPGP keys that signed the content. */
	signedBy: z.array(z.string()).optional(),
});

const transformation = z.discriminatedUnion('type', [compression, encryption]);

const table = open({ schema: z.string(), name: z.string(), rows: z.number().int().nonnegative() });

const sequence = open({
	schema: z.string(),
	name: z.string(),
	/** A bigint in decimal. */
	lastValue: z.string().regex(/^-?\d{1,19}$/),
	/** Whether the next value is the one after `lastValue`, as opposed to `lastValue` itself. */
	isCalled: z.boolean(),
});

const databaseSource = open({
	type: z.literal('database'),
	engine: z.string(),
	serverVersion: z.string(),
	database: z.string(),
	/** Only where the operator wants it. */
	host: z.string().optional(),
	/** How the database stores and sorts text, so that a new one can be made like it. */
	locale: open({
		encoding: z.string(),
		/** Names of the operating system's locales (LC_COLLATE, LC_CTYPE). */
		...{ collate: z.string(), ctype: z.string() },
		/** PostgreSQL's `c` (libc), `i` (ICU) or `b` (builtin), from version 15 on; and its own name of the locale. */
		provider: z.string().optional(),
		locale: z.string().optional(),
		icuRules: z.string().optional(),
	}).optional(),
	/** It holds no database, but what belongs to the whole server: roles and tablespaces. */
	globals: z.boolean().optional(),
});

const filesSource = open({
	type: z.literal('files'),
	/** The paths and globs as the operator gave them. */
	paths: z.array(z.string()),
	exclude: z.array(z.string()).optional(),
	/** What the archive holds. Hard links count as files. */
	fileCount: z.number().int().nonnegative().optional(),
	folderCount: z.number().int().nonnegative().optional(),
	linkCount: z.number().int().nonnegative().optional(),
	/** What was left out though nobody excluded it, and why: the first of so many. */
	skipped: z.array(open({ path: z.string(), reason: z.string() })).optional(),
	skippedCount: z.number().int().nonnegative().optional(),
	/** Files that changed or vanished while they were read: the first of so many. */
	changed: z.array(z.string()).optional(),
	changedCount: z.number().int().nonnegative().optional(),
});

const bundleSource = open({ type: z.literal('bundle') });

const shared = {
	formatVersion: z.number().int(),
	/** UUID of this backup. */
	id: z.string().min(1),
	/** The name of the job, the same for every run. */
	name: z.string().min(1),
	kind: z.enum(['database', 'files', 'bundle']),
	/** What the content is once all transformations are undone. */
	format: z.enum(['plain-sql', 'pg-custom', 'tar']),
	/** The file name that fits the bytes as they are now, such as `shop-20261121T020000Z.sql.zst.age`. */
	fileName: plainFileName,
	/** When the backup began: the moment whose data it holds. ISO 8601, UTC. */
	createdAt: z.iso.datetime(),
	/** When its last byte was produced. */
	completedAt: z.iso.datetime(),
	source: z.discriminatedUnion('type', [databaseSource, filesSource, bundleSource]),
	/** Databases: rows in each table, as counted while they were read. */
	tables: z.array(table).optional(),
	/** Databases: where each sequence stands, as of the same moment. */
	sequences: z.array(sequence).optional(),
	/** What was done to the content, in order. Undo from the last to the first. */
	transformations: z.array(transformation),
	/** The content before all transformations. */
	content: digest,
	/** The bytes as they are now, after all transformations. */
	stored: digest,
	/** The operator's words for it, by which retention may keep it. */
	tags: z.array(z.string().min(1)).optional(),
	/** For incremental backups: the ids this one needs. */
	chain: open({ parent: z.string(), base: z.string() }).optional(),
	/**
	 * What the storage called the object's version when it was proven there, and how that was done. As long as it calls it the same, nobody
	 * has written the content again. It is true in that place only: a copy has its own.
	 */
	provenVersion: open({
		storage: z.string(),
		version: z.string(),
		/** `read-back` or `service-checksum`; a later Lifeboat may know others. */
		method: z.string(),
	}).optional(),
	tool: open({ name: z.string(), version: z.string() }),
	/** Shell commands that restore the backup by hand, without n8n. */
	restoreCommands: z.array(z.string()),
};

const manifestSchema = open({
	...shared,
	/** Bundles: what lies inside, each with a manifest of its own. */
	entries: z.array(open({ path: z.string().min(1), manifest: open(shared) })).optional(),
});

/** The JSON that describes a backup and travels with it as `<key>.manifest.json`. */
export type Manifest = z.infer<typeof manifestSchema>;

/** What is known before the bytes have been produced. */
export type ManifestDraft = Omit<Manifest, 'content' | 'stored' | 'completedAt' | 'restoreCommands'>;

export type Transformation = z.infer<typeof transformation>;
export type CompressionTransformation = z.infer<typeof compression>;
export type EncryptionTransformation = z.infer<typeof encryption>;
export type TableRows = z.infer<typeof table>;
export type SequenceValue = z.infer<typeof sequence>;
export type DatabaseSource = z.infer<typeof databaseSource>;
export type FilesSource = z.infer<typeof filesSource>;
export type BundleEntry = NonNullable<Manifest['entries']>[number];

/**
 * Checks what was read from outside.
 *
 * @param what how to call it in an error, such as `manifest of shop-2026.sql.zst`.
 * @throws LifeboatError `MANIFEST_INVALID` or `MANIFEST_TOO_NEW`.
 */
export function parseManifest(value: unknown, what: string): Manifest {
	const version =
		typeof value === 'object' && value !== null && 'formatVersion' in value ? value.formatVersion : undefined;
	if (typeof version === 'number' && version > MANIFEST_FORMAT_VERSION) {
		throw new LifeboatError(
			'MANIFEST_TOO_NEW',
			`The ${what} has format version ${version}; this version of Lifeboat reads up to ${MANIFEST_FORMAT_VERSION}`,
			{ hint: 'Update n8n-nodes-lifeboat, then try again' },
		);
	}
	const result = manifestSchema.safeParse(value);
	if (result.success) return result.data;
	throw new LifeboatError(
		'MANIFEST_INVALID',
		`The ${what} is not a valid Lifeboat manifest: ${problemOf(result.error.issues[0])}`,
		{
			hint: 'The file may be damaged or belong to another program. The backup beside it can still be opened by hand',
		},
	);
}

function problemOf(issue: z.core.$ZodIssue | undefined): string {
	const message = issue?.message ?? 'it is refused';
	const isMissing = issue?.code === 'invalid_type' && message.endsWith('received undefined');
	return `${issue?.path.join('.') || 'it'} ${isMissing ? 'is missing' : message}`;
}

/** Parses the text of a manifest file. @throws as `parseManifest`. */
export function parseManifestText(text: string, what: string): Manifest {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch (error) {
		throw new LifeboatError('MANIFEST_INVALID', `The ${what} is not JSON`, {
			hint: 'The file may be damaged or cut short. The backup beside it can still be opened by hand',
			cause: error,
		});
	}
	return parseManifest(value, what);
}

/** The text of a manifest file. */
export function serializeManifest(manifest: Manifest): string {
	return `${JSON.stringify(manifest, null, 2)}\n`;
}
