import { codeOf, LifeboatError, messageOf } from '../errors';

/** Turns what decompression throws at data it can't read into an error an operator understands; others stay as they are. */
export function asDamage(error: unknown, fileName: string): unknown {
	if (error instanceof LifeboatError) return error;
	// node:zlib: Z_DATA_ERROR, Z_BUF_ERROR (cut short), ZSTD_error_checksum_wrong ...
	if (!/^(?:Z_|ZSTD_|ERR_ZLIB)/.test(codeOf(error) ?? '')) return error;
	return new LifeboatError('DAMAGED', `${fileName} can't be decompressed: ${messageOf(error)}`, {
		hint: 'Do not use this copy. Take the same backup from another destination, or an older one',
		cause: error,
	});
}
