import { after, before, describe } from 'node:test';

import { editorTests } from './editor.suite';
import { startStage, type Stage } from './stage';
import { workflowTests } from './workflows.suite';

describe('in a real n8n', () => {
	let stage: Stage | undefined;
	before(async () => {
		stage = await startStage();
	});
	after(async () => {
		await stage?.close();
	});
	// Starting n8n takes seconds, so all share one.
	workflowTests(() => stage!);
	editorTests(() => stage!);
});
