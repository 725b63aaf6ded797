import type { IExecuteFunctions, ILoadOptionsFunctions, IPollFunctions } from 'n8n-workflow';

import { isFilePathBlocked, resolvePath } from './n8n-file-rules';

/**
 * The context of a polling trigger, or of a list in the editor, in the shape that the other nodes' helpers take: there is one item,
 * number 0, and n8n's file rules hold although n8n gives these contexts no helpers for files. It serves to open a storage; there is no
 * input and nothing to cancel.
 */
export function asExecution(poll: IPollFunctions | ILoadOptionsFunctions): IExecuteFunctions {
	const helpers = { ...poll.helpers, resolvePath, isFilePathBlocked };
	return {
		getNode: () => poll.getNode(),
		getTimezone: () => poll.getTimezone(),
		getWorkflow: () => poll.getWorkflow(),
		logger: poll.logger,
		getNodeParameter: (name: string, _item: number, fallback?: unknown) =>
			poll.getNodeParameter(name, fallback),
		getCredentials: async (type: string) => await poll.getCredentials(type),
		getExecutionCancelSignal: () => undefined,
		addExecutionHints: ({ message }: { message: string }) => poll.logger.warn(message),
		helpers,
	} as unknown as IExecuteFunctions;
}
