import type { IExecuteFunctions, IPollFunctions } from 'n8n-workflow';

import { isFilePathBlocked, resolvePath } from './n8n-file-rules';

/**
 * A polling trigger's context in the shape that the other nodes' helpers take: there is one item, number 0, and n8n's file rules hold
 * although n8n gives a poll no helpers for files. It serves to open a storage; there is no input and nothing to cancel.
 */
export function asExecution(poll: IPollFunctions): IExecuteFunctions {
	const helpers = { ...poll.helpers, resolvePath, isFilePathBlocked };
	return {
		getNode: () => poll.getNode(),
		getTimezone: () => poll.getTimezone(),
		getWorkflow: () => poll.getWorkflow(),
		getMode: () => poll.getMode(),
		logger: poll.logger,
		getNodeParameter: (name: string, _item: number, fallback?: unknown) =>
			poll.getNodeParameter(name, fallback),
		getCredentials: async (type: string) => await poll.getCredentials(type),
		getExecutionCancelSignal: () => undefined,
		addExecutionHints: ({ message }: { message: string }) => poll.logger.warn(message),
		helpers,
	} as unknown as IExecuteFunctions;
}
