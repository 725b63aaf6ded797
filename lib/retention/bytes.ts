const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** A number of bytes with three digits, in powers of 1000, as disks are sold: `1.25 GB`. */
export function bytesInWords(bytes: number): string {
	const power = Math.min(UNITS.length - 1, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
	return `${Number((bytes / 1000 ** power).toPrecision(3))} ${UNITS[power]!}`;
}
