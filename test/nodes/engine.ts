import 'reflect-metadata';
import { userFolder } from './engine-environment';

import { randomInt } from 'node:crypto';
import { join } from 'node:path';

import { SecurityConfig } from '@n8n/config';
import { Container } from '@n8n/di';
import { BinaryDataConfig, BinaryDataService, WorkflowExecute } from 'n8n-core';
import type { IBinaryData, IRun, WorkflowExecuteMode } from 'n8n-workflow';

import { RunResult } from './run-result';
import { additionalData, createWorkflow, type TestWorkflow } from './test-workflow';

/** A workflow and how it is to run. */
export interface WorkflowRun extends TestWorkflow {
	/** Folders that nodes may use (N8N_RESTRICT_FILE_ACCESS_TO). It holds for the process, so runs with different ones can't overlap. */
	allowedFolders?: string[];
	/** `default` keeps binary data in memory, as old installations do. */
	binaryDataMode?: 'filesystem' | 'default';
	executionId?: string;
	/** `manual` unless given. */
	mode?: WorkflowExecuteMode;
	/** Aborting it is what n8n's Stop button does. */
	signal?: AbortSignal;
	/** Called before each node starts. */
	onNodeStart?: (name: string) => void;
	/** Called when the execution ends, after the nodes' own `onExecutionFinish` handlers. */
	onFinish?: () => void | Promise<void>;
}

/** Runs a workflow through n8n's real engine, in this process. Never rejects for what a node throws: see `RunResult`. */
export async function runWorkflow(run: WorkflowRun): Promise<RunResult> {
	await configure(run);
	const { workflow, credentials } = await createWorkflow(run);
	const executionId = run.executionId ?? String(randomInt(1, 2 ** 31));
	const messages: unknown[] = [];

	const execute = async (
		start: (engine: WorkflowExecute) => ReturnType<WorkflowExecute['run']>,
		earlier?: IRun,
	) => {
		const additional = additionalData(run, workflow, credentials, executionId, messages);
		const running = start(new WorkflowExecute(additional, run.mode ?? 'manual', earlier?.data));
		const cancel = () => running.cancel();
		run.signal?.addEventListener('abort', cancel);
		if (run.signal?.aborted) cancel();
		try {
			const result = await running;
			await run.onFinish?.();
			return result;
		} finally {
			run.signal?.removeEventListener('abort', cancel);
		}
	};

	const result = await execute((engine) => engine.run({ workflow, startNode: workflow.getNode('Start')! }));
	return new RunResult(executionId, result, messages, (waiting) =>
		execute((engine) => engine.processRunExecutionData(workflow), waiting),
	);
}

/** The bytes of an item's binary field. */
export async function readBinary(binary: IBinaryData): Promise<Buffer> {
	return Container.get(BinaryDataService).getAsBuffer(binary);
}

/** Where `helpers.getStoragePath()` points for one of the project's nodes. */
export const storagePath = (type: string) => join(userFolder, '.n8n/storage', `n8n-nodes-lifeboat.${type}`);

async function configure(run: WorkflowRun): Promise<void> {
	const allowed = (run.allowedFolders ?? ['~/.n8n-files']).join(';');
	Container.get(SecurityConfig).restrictFileAccessTo = allowed;
	process.env.N8N_RESTRICT_FILE_ACCESS_TO = allowed;
	Container.get(BinaryDataConfig).mode = run.binaryDataMode ?? 'filesystem';
	await Container.get(BinaryDataService).init();
}
