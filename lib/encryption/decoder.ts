import type { Decoder } from '../artifact/transform';
import { decompressor } from '../compression/compression';

import { decryptor, type EncryptionKeys } from './encryption';

/** What `undoEncodings` takes: undoes compressions, and encryptions with these keys. */
export function decoderWith(keys: EncryptionKeys): Decoder {
	return async (transformation) =>
		transformation.type === 'compression' ? decompressor(transformation) : decryptor(transformation, keys);
}
