import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

/** Puts the picture into the first item, where n8n's panel shows it. */
export async function attachCalendar(
	context: IExecuteFunctions,
	items: INodeExecutionData[],
	svg: string,
): Promise<void> {
	const [first] = items;
	if (!first) return;
	const calendar = await context.helpers.prepareBinaryData(Buffer.from(svg), 'calendar.svg', 'image/svg+xml');
	first.binary = { calendar };
}
