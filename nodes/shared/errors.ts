import { ExpressionError, NodeOperationError, type INode } from 'n8n-workflow';

import { LifeboatError, messageOf } from '../../lib/errors';

/** n8n replaces a whole message that contains one of these by a canned text; their words stand in for them. */
const systemCodes: ReadonlyArray<[RegExp, string]> = [
	[/\bENOENT\b:?/g, 'not found'],
	[/\bEACCES\b:?/g, 'permission denied'],
	[/\bEPERM\b:?/g, 'not permitted'],
	[/\bEEXIST\b:?/g, 'already exists'],
	[/\bECONNREFUSED\b:?/g, 'connection refused'],
	[/\bECONNRESET\b:?/g, 'connection reset'],
	[/\bENOTFOUND\b:?/g, 'host not found'],
	[/\bEHOSTUNREACH\b:?/g, 'host unreachable'],
	[/\bETIMEDOUT\b:?/g, 'timed out'],
	[/\bEPIPE\b:?/g, 'connection closed'],
	[/\b(?:ENOTDIR|EISDIR|EMFILE|EINVAL|EADDRINUSE|ECONNABORTED|ENETUNREACH|EAI_AGAIN)\b:?/g, 'system error'],
];

/** Passwords in connection strings, should a library echo one; up to the last @, which some hold themselves. */
const userInfo = /([a-z][a-z0-9+.-]*:\/\/[^\s/:@]*):[^\s/]+@/gi;

/** What n8n may show: no secret, no code that n8n would replace the message for. */
export function presentable(text: string): string {
	return systemCodes.reduce(
		(result, [pattern, words]) => result.replaceAll(pattern, words),
		text.replaceAll(userInfo, '$1:***@'),
	);
}

/** Turns anything thrown into the error that n8n shows: what happened, and beneath it what to do. */
export function toNodeError(node: INode, error: unknown, itemIndex: number): NodeOperationError {
	if (error instanceof NodeOperationError) {
		error.context.itemIndex ??= itemIndex;
		return error;
	}
	if (error instanceof LifeboatError) {
		const message = presentable(error.message);
		return new NodeOperationError(node, message, {
			message,
			description: error.hint === undefined ? undefined : presentable(error.hint),
			itemIndex,
		});
	}
	if (error instanceof ExpressionError) {
		return new NodeOperationError(node, error, {
			message: `An expression in a field of this node gives no value: ${presentable(error.message)}`,
			description:
				'Execute the nodes before this one, or give the field a fixed value. The panel marks the field',
			itemIndex,
		});
	}
	return new NodeOperationError(node, 'The node failed unexpectedly', {
		message: 'The node failed unexpectedly',
		description: presentable(messageOf(error)),
		itemIndex,
	});
}
