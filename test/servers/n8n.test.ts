import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { access } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';

import type { INode, NodeParameterValueType } from 'n8n-workflow';

import { startN8n, type N8nServer } from './n8n';
import { startPostgres, type PostgresServer } from './postgres';

const node = (
	name: string,
	type: string,
	typeVersion: number,
	parameters: Record<string, unknown> = {},
): INode => ({
	...{ id: randomUUID(), name, type: `n8n-nodes-base.${type}`, typeVersion, position: [0, 0] },
	...{ parameters: parameters as Record<string, NodeParameterValueType> },
});

describe('a real n8n', () => {
	let postgres: PostgresServer;
	let n8n: N8nServer;

	before(async () => {
		postgres = await startPostgres();
		n8n = await startN8n({ postgres, withPackage: false });
	});

	after(async () => {
		await n8n.stop();
		await postgres.stop();
		await assert.rejects(access(n8n.userFolder));
		await assert.rejects(fetch(n8n.url));
	});

	test('fires a schedule and answers a webhook', async () => {
		const client = await n8n.login();
		const scheduled = await client.createWorkflow({
			name: 'Each second',
			nodes: [
				node('Schedule', 'scheduleTrigger', 1.2, {
					rule: { interval: [{ field: 'seconds', secondsInterval: 1 }] },
				}),
			],
			connections: {},
		});
		await client.activate(scheduled.id);
		const execution = await client.finished(await client.started(scheduled.id));
		await client.deactivate(scheduled.id);
		assert.equal(execution.status, 'success');
		assert.equal(execution.mode, 'trigger');
		assert.ok(execution.data.resultData.runData.Schedule?.[0]?.data?.main?.[0]?.[0]?.json.timestamp);

		const path = randomUUID();
		const hook = await client.createWorkflow({
			name: 'Hook',
			nodes: [{ ...node('Webhook', 'webhook', 2, { path, responseMode: 'lastNode' }), webhookId: path }],
			connections: {},
		});
		await client.activate(hook.id);
		const answer = await client.webhook(`${path}?n=7`);
		assert.equal(answer.status, 200);
		assert.match(await answer.text(), /"n":"7"/);
	});

	test('logs in again with the same account, and keeps what failed', async () => {
		const client = await n8n.login();
		const { id } = await client.createWorkflow({
			name: 'Fails',
			nodes: [
				node('Click', 'manualTrigger', 1),
				node('Stop', 'stopAndError', 1, { errorMessage: 'This is the end' }),
			],
			connections: { Click: { main: [[{ node: 'Stop', type: 'main', index: 0 }]] } },
		});
		const execution = await client.finished(await client.execute(id, 'Click'));
		assert.equal(execution.status, 'error');
		assert.equal(execution.data.resultData.error?.message, 'This is the end');
	});
});
