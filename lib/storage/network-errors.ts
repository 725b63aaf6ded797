import { codeOf } from '../errors';

const problems: Record<string, string> = {
	ECONNREFUSED: 'nothing answers at that address and port',
	ENOTFOUND: 'the name of the server is not known',
	EAI_AGAIN: 'the name of the server could not be looked up',
	ETIMEDOUT: 'the server did not answer in time',
	ESOCKETTIMEDOUT: 'the server did not answer in time',
	EHOSTUNREACH: 'there is no route to the server',
	ENETUNREACH: 'there is no route to the server',
	ECONNRESET: 'the connection was cut',
	ECONNABORTED: 'the connection was cut',
	EPIPE: 'the connection was cut',
	EPROTO: 'the server does not speak TLS at that port, or not the same kind',
	HPE_INVALID_CONSTANT: 'the server does not speak HTTP at that port',
	ERR_STREAM_PREMATURE_CLOSE: 'the connection was cut',
	CERT_HAS_EXPIRED: 'the certificate of the server has expired',
	DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate of the server is self-signed',
	SELF_SIGNED_CERT_IN_CHAIN: 'the certificate of the server comes from an authority that is not trusted',
	UNABLE_TO_GET_ISSUER_CERT: 'the certificate of the server comes from an authority that is not trusted',
	UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
		'the certificate of the server comes from an authority that is not trusted',
	UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		'the certificate of the server comes from an authority that is not trusted',
	ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate belongs to another server name',
};

/** What happened on the network, in words; nothing if the error isn't one of the network. */
export function networkProblem(error: unknown): string | undefined {
	if (error instanceof AggregateError) return networkProblem(error.errors[0]);
	if (error instanceof Error && error.name === 'TimeoutError') return problems.ETIMEDOUT;
	return problems[codeOf(error) ?? ''];
}

/** Whether the server's certificate was not accepted. */
export function isTlsError(error: unknown): boolean {
	return /CERT|SIGNATURE/.test(codeOf(error) ?? '');
}

/** Whether the connection failed, though not for its certificate. */
export function isConnectionError(error: unknown): boolean {
	return networkProblem(error) !== undefined && !isTlsError(error);
}
