import type { Readable } from 'node:stream';

/** An object in a storage. */
export interface StoredObject {
	/** The whole key, with `/` between its parts, relative to the storage's root. */
	key: string;
	/** Bytes. */
	size: number;
	/** When it was last written, by the storage's clock. Nothing is ever deleted because of it; retention may keep something. */
	modifiedAt: Date;
	/** Another one means that the key was written again. Only to be compared; not every storage knows it. */
	version?: string;
	/** Of what was just put: with which checksums the service itself compared what it received, where it did. `SHA-256 of each part`. */
	receivedChecksum?: string;
}

/** What an upload left that was not finished: nothing that counts as stored. It may still be under way. */
export interface UnfinishedUpload {
	/** The key it is for, where that can be told, else that of the temporary object. */
	key: string;
	startedAt: Date;
	/** Bytes, where that can be told without asking for each. */
	size?: number;
	/** Whether Lifeboat is known to have started it. Only then `removeUnfinished` removes it. */
	ours: boolean;
}

export interface PutOptions {
	signal?: AbortSignal;
	/** Bytes, where known: lets a driver choose part sizes and check free space. */
	size?: number;
	/** What to do when the key exists: fail with `ALREADY_EXISTS` (default) or replace it. */
	ifExists?: 'fail' | 'replace';
	contentType?: string;
	/**
	 * SHA-256 of the bytes, where another try will send the very same ones: if the transfer breaks, what was sent may be kept, for
	 * the next try to go on. Whoever gives it proves the whole object afterwards.
	 */
	resumable?: { sha256: string };
	/**
	 * What it is of a backup: the backup itself (default), a file beside it that never changes (manifest, checksum), or a mark that
	 * may be taken back (pin, proof). Decides which objects are locked, or put where reading takes hours.
	 */
	role?: 'content' | 'sidecar' | 'mark';
	/** Have the service compare what it receives with checksums, where it can (`StoredObject.receivedChecksum`). */
	checksums?: boolean;
}

export interface GetOptions {
	signal?: AbortSignal;
	/** First and last byte, both included. */
	range?: { start: number; end?: number };
}

export interface UnarchiveOptions {
	days: number;
	/** How fast, in the provider's words. */
	tier: 'Bulk' | 'Expedited' | 'Standard';
}

/** How far an archived object is from being readable. */
export interface Unarchived {
	state: 'readable' | 'requested' | 'ongoing';
	/** Hours from the request on, by what the provider promises, where it promises something. */
	withinHours?: number;
}

/** What a service tells of an object's content without reading it: by what it noted when it took that in. */
export interface KeptChecksums {
	/** SHA-256 of all bytes, lower-case hexadecimal, with which the service itself compared them. */
	sha256?: string;
	/** As `StoredObject.version`. Another one means that the content was written again. */
	version?: string;
}

/** What keeps an object from being removed. */
export interface StorageLock {
	/** Until then nobody may remove it. */
	until?: Date;
	/** Somebody has to lift it. */
	legalHold: boolean;
}

/** The room in a storage. */
export interface StorageSpace {
	/** Bytes that may still be written. */
	freeBytes: number;
	/** Where known. */
	totalBytes?: number;
}

/**
 * A place where backups lie. Every driver passes `test/lib/storage/conformance.ts`. All errors are LifeboatErrors that name the
 * key and the place: `NOT_FOUND`, `ALREADY_EXISTS`, `ACCESS_DENIED`, `CONNECTION_FAILED`, `DISK_FULL`, `INVALID_KEY`, `INVALID_RANGE`,
 * `INCOMPLETE`, `LOCKED`, or `STORAGE_FAILED`; what a source throws passes unchanged, and so does an abort.
 */
export interface Storage {
	/** Whether what is stored there can't be read at once (archive classes). */
	readonly writesArchived?: boolean;

	/** How to call it in messages, without secrets: `bucket backups at s3.example.com`. */
	readonly description: string;

	/**
	 * Stores a stream under a key. Nothing is visible under the key before all of it is there; a failure, of either side, or
	 * an abort leaves nothing behind (but see `TAGGING_FAILED` of `ensureKept`: then the object is there).
	 */
	put(key: string, source: Readable, options?: PutOptions): Promise<StoredObject>;

	/** @throws LifeboatError `NOT_FOUND`. A connection that breaks fails the stream; it never ends early. */
	get(key: string, options?: GetOptions): Promise<Readable>;

	/** What lies under exactly this key, if anything. */
	stat(key: string, signal?: AbortSignal): Promise<StoredObject | undefined>;

	/** Every object whose key starts with the prefix, in the order of their keys' UTF-8 bytes. Complete, however many there are. */
	list(prefix: string, signal?: AbortSignal): AsyncIterable<StoredObject>;

	/** Removes an object; one that isn't there is no error. Gone when it returns. */
	delete(key: string, signal?: AbortSignal): Promise<void>;

	/** Removes what broken uploads of ours left behind, if older than the given time. Returns how many. */
	removeUnfinished(prefix: string, olderThan: Date, signal?: AbortSignal): Promise<number>;

	/** What `removeUnfinished` would look at, whoever started it. */
	unfinished(prefix: string, signal?: AbortSignal): AsyncIterable<UnfinishedUpload>;

	/**
	 * Has an archived object made readable for some days; costs what the provider takes for it. One that is readable, or on
	 * its way, is left alone. Only where there are archive classes.
	 */
	unarchive?(key: string, options: UnarchiveOptions, signal?: AbortSignal): Promise<Unarchived>;

	/** An address at which anybody may read an object for a while. Only where there is such a thing. */
	link?(key: string, seconds: number): Promise<string>;

	/**
	 * Makes sure that an object which is there already is kept as one would be that is written now (locked, tagged). Only where that can be
	 * asked for.
	 *
	 * @throws LifeboatError `LOCK_FAILED`, `TAGGING_FAILED`; the object stays.
	 */
	ensureKept?(key: string, role?: PutOptions['role'], signal?: AbortSignal): Promise<void>;

	/**
	 * The checksums that the service keeps of an object; nothing if it isn't there. Only where the version follows from the content, or
	 * is given anew with each writing: then the same version means the same content.
	 */
	keptChecksums?(key: string, signal?: AbortSignal): Promise<KeptChecksums | undefined>;

	/** What keeps an object from being removed now, if anything. Only where there are locks. */
	lock?(key: string, signal?: AbortSignal): Promise<StorageLock | undefined>;

	/**
	 * Removes an object for good, with every version that the storage keeps of it; `delete` may only hide it. Only where there
	 * are versions.
	 *
	 * @throws LifeboatError `OBJECT_LOCKED` if any of them is locked; then all stay.
	 */
	deleteVersions?(key: string, signal?: AbortSignal): Promise<void>;

	/**
	 * How much room is left, where the storage can tell.
	 *
	 * @throws LifeboatError where it can't be reached; of a folder, `NOT_FOUND` also when it isn't there (a mount that failed).
	 */
	space?(signal?: AbortSignal): Promise<StorageSpace | undefined>;

	/** Ends connections. Safe to call twice. */
	close(): Promise<void>;
}
