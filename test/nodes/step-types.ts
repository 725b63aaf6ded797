import type { IExecuteFunctions, INodeExecutionData, INodeType, INodeTypeDescription } from 'n8n-workflow';

/** The work of an inline node: items of the first input in, items out. The context is n8n's own. */
export type InlineStep = (
	items: INodeExecutionData[],
	context: IExecuteFunctions,
) => INodeExecutionData[] | Promise<INodeExecutionData[]>;

const description = (name: string, inputs: number): INodeTypeDescription => ({
	...{ name, displayName: name, description: name, group: ['transform'], version: 1, defaults: {} },
	...{ inputs: Array<'main'>(inputs).fill('main'), outputs: ['main'], properties: [] },
	...(inputs > 1 ? { requiredInputs: Array.from({ length: inputs }, (_, index) => index) } : {}),
});

/** Where a workflow begins: emits the given items. */
export const startType = (items: INodeExecutionData[]): INodeType => ({
	description: description('start', 0),
	async execute() {
		return [items];
	},
});

/** A node made of a function. With more than one input it gets the items of all of them, one after the other. */
export const inlineType = (run: InlineStep, inputs = 1): INodeType => ({
	description: description('inline', inputs),
	async execute() {
		const items = Array.from({ length: inputs }, (_, index) => this.getInputData(index)).flat();
		return [await run(items, this)];
	},
});
