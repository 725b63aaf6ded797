import { LifeboatError } from '../errors';
import { TEMPORARY_PREFIX } from '../streams/atomic-file';

/** The longest key that every kind of storage takes, in bytes of UTF-8 (the limit of S3). */
export const MAX_KEY_BYTES = 1024;

/**
 * Checks a key before a storage is asked for it, by the same rules everywhere, so that a backup can move from any storage to
 * any other.
 *
 * @throws LifeboatError `INVALID_KEY`.
 */
export function assertKey(key: string): void {
	const problem = keyProblem(key);
	if (problem === undefined) return;
	throw new LifeboatError('INVALID_KEY', `${JSON.stringify(key)} cannot be the key of a backup: ${problem}`, {
		hint: 'A key is a path such as nightly/shop.sql.zst: names with / between them',
	});
}

function keyProblem(key: string): string | undefined {
	if (key === '') return 'it is empty';
	if (Buffer.from(key).toString() !== key) return 'it is not valid Unicode';
	if (/\p{Cc}/u.test(key)) return 'it contains a control character';
	if (Buffer.byteLength(key) > MAX_KEY_BYTES) return `it is longer than ${MAX_KEY_BYTES} bytes`;
	const parts = key.split('/');
	if (parts[0] === '') return 'it begins with /';
	if (parts.includes('')) return 'it ends with / or contains //';
	if (parts.some((part) => part === '.' || part === '..')) return 'it contains . or .. as a part of its path';
	if (parts.some((part) => part.startsWith(TEMPORARY_PREFIX)))
		return `names that begin with ${TEMPORARY_PREFIX} are reserved for unfinished files`;
	return undefined;
}

/** Whether a key stands for something unfinished of ours, which no listing shows. */
export function isTemporaryKey(key: string): boolean {
	return key.split('/').some((part) => part.startsWith(TEMPORARY_PREFIX));
}

/** The name under which an object waits while another one takes its key, on servers whose rename doesn't replace. */
export function asideName(temporary: string): string {
	return `${temporary}${asideEnding}`;
}

const asideEnding = '.old';

/**
 * Whether a name is that of something unfinished which may be removed once it is old. What stepped aside is not: on a machine that
 * died while a backup was replaced it is the only copy.
 */
export function isRemovable(name: string): boolean {
	return name.startsWith(TEMPORARY_PREFIX) && !name.endsWith(asideEnding);
}

/** Whether something was last written before a time. What is of unknown age (1970) may be under way: it never was. */
export function isOlder(modifiedAt: Date, than: Date): boolean {
	return modifiedAt.getTime() > 0 && modifiedAt < than;
}

/**
 * A folder as operators write it (`/nightly/`, `nightly`, empty) as the start of keys (`nightly/`, or nothing).
 *
 * @throws LifeboatError `INVALID_KEY`.
 */
export function folderPrefix(folder = ''): string {
	const trimmed = folder.replace(/^\/+|\/+$/g, '');
	if (trimmed === '') return '';
	assertKey(trimmed);
	return `${trimmed}/`;
}

/** The last part of a key. */
export function baseName(key: string): string {
	return key.slice(key.lastIndexOf('/') + 1);
}

/** Orders keys by their UTF-8 bytes, as object storages do; JavaScript's own order differs beyond U+FFFF. */
export function compareKeys(a: string, b: string): number {
	return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
