/** Public-key algorithms of RFC 9580, section 9.1. */
const RSA = [1, 2];
const ELGAMAL = 16;
const ECDH = 18;
const X25519 = 25;

/** What a point of Curve25519 starts with where it is written as a number (RFC 9580, section 11.2.1). */
const NATIVE_POINT = 0x40;

const POINT_SIZE = 32;

/**
 * Whether what is in a public-key session key packet (RFC 9580, section 5.1) is written in the one way that programs write it. Readers
 * pass over some bits: the exact number of bits of a number, the highest one of a point of Curve25519. A message in which they differ
 * was changed, if in nothing that matters.
 *
 * @param body of the packet. Of versions and algorithms not known here nothing is said.
 */
export function isCanonical(body: Buffer): boolean {
	const [version, algorithm] = [body[0], body[9]];
	if (version !== 3 || algorithm === undefined) return true;
	const fields = body.subarray(10);
	if (algorithm === X25519) return isReduced(fields.subarray(0, POINT_SIZE));
	if (RSA.includes(algorithm)) return restBehindNumber(fields)?.length === 0;
	if (algorithm === ELGAMAL) {
		const second = restBehindNumber(fields);
		return second !== undefined && restBehindNumber(second)?.length === 0;
	}
	if (algorithm !== ECDH) return true;
	const rest = restBehindNumber(fields);
	if (!rest) return false;
	const point = fields.subarray(2, fields.length - rest.length);
	return point[0] !== NATIVE_POINT || isReduced(point.subarray(1));
}

/** What follows a number (RFC 9580, section 3.2); undefined where its length is not what it says. Zeros in front, as some programs leave them, are let pass. */
function restBehindNumber(bytes: Buffer): Buffer | undefined {
	if (bytes.length < 3) return undefined;
	const bits = bytes.readUInt16BE();
	const end = 2 + Math.ceil(bits / 8);
	const first = bytes[2]!;
	const isExact = first === 0 || bits === (end - 2) * 8 - (Math.clz32(first) - 24);
	return isExact && end <= bytes.length ? bytes.subarray(end) : undefined;
}

/** Points are less than 2^255, little-endian (RFC 7748, section 5: the highest bit is passed over). */
function isReduced(point: Buffer): boolean {
	return point.length === POINT_SIZE && (point[POINT_SIZE - 1]! & 0x80) === 0;
}
