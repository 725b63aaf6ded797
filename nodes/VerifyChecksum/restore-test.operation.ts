import type { IDataObject, IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { inProcessScratch } from '../../lib/databases/postgres/scratch/in-process';
import { serverScratch } from '../../lib/databases/postgres/scratch/on-server';
import type { ScratchDatabase } from '../../lib/databases/scratch';
import { decoderWith } from '../../lib/encryption/decoder';
import { keepProof } from '../../lib/verification/keep-proof';
import { testRestore, type RestoreTestReport } from '../../lib/verification/restore-test';
import { passOn, readArtifact, type KnownArtifact } from '../shared/artifacts';
import { encryptionKeys, postgresConnection } from '../shared/credentials';
import { cancelSignal } from '../shared/run';
import { sqlChecksOf, type SqlChecksValue } from '../shared/sql-checks';
import { stagingFor } from '../shared/staging';
import { storageFor } from '../shared/storage';

import { failed, passed } from './outputs';
import { keyOf } from './stored-backup';

interface Options extends IDataObject {
	caCertificate?: string;
	checkTimeout?: number;
	maintenanceDatabase?: string;
	withOwners?: boolean;
}

export async function execute(
	context: IExecuteFunctions,
	itemIndex: number,
): Promise<INodeExecutionData[][]> {
	const artifact = await readArtifact(context, itemIndex);
	if (context.getNodeParameter('proof', itemIndex) === 'none') {
		return emit(context, itemIndex, artifact, await run(context, itemIndex, artifact));
	}
	const storage = await storageFor(context, itemIndex);
	try {
		// Looked for first: a test that took an hour must not end with nowhere to write to.
		const key = await keyOf(context, itemIndex, storage, artifact.manifest);
		const report = await run(context, itemIndex, artifact);
		const isKept = await keepProof(storage, key, artifact.manifest, report, cancelSignal(context));
		const proof = isKept ? { storage: storage.description, key } : undefined;
		return emit(context, itemIndex, artifact, report, proof);
	} finally {
		await storage.close();
	}
}

async function run(
	context: IExecuteFunctions,
	itemIndex: number,
	artifact: KnownArtifact,
): Promise<RestoreTestReport> {
	const { checkTimeout } = context.getNodeParameter('options', itemIndex, {}) as Options;
	const decoder = decoderWith(await encryptionKeys(context, itemIndex));
	const sqlChecks = sqlChecksOf(context.getNodeParameter('sqlChecks', itemIndex, {}) as SqlChecksValue);
	const { path: folder } = await stagingFor(context);
	const { scratches, close } = await scratchesFor(context, itemIndex, folder);
	try {
		return await testRestore(artifact, {
			...{ decoder, folder, sqlChecks, scratches, signal: cancelSignal(context) },
			...(checkTimeout ? { checkTimeoutMs: checkTimeout * 1000 } : {}),
		});
	} finally {
		await close();
	}
}

/** Roles are tested inside n8n in any case: on a server they would be everybody's. */
async function scratchesFor(
	context: IExecuteFunctions,
	itemIndex: number,
	folder: string,
): Promise<{ scratches: ScratchDatabase[]; close: () => Promise<void> }> {
	const inProcess = inProcessScratch({ folder });
	if (context.getNodeParameter('scratch', itemIndex) === 'process') {
		return { scratches: [inProcess], close: async () => {} };
	}
	const options = context.getNodeParameter('options', itemIndex, {}) as Options;
	const { caCertificate, maintenanceDatabase, withOwners } = options;
	const reachable = await postgresConnection(context, itemIndex, caCertificate ? { caCertificate } : {});
	const scratch = serverScratch(reachable.connection, {
		withOwners: withOwners === true,
		...(maintenanceDatabase ? { maintenanceDatabase } : {}),
	});
	return { scratches: [scratch, inProcess], close: reachable.close };
}

function emit(
	context: IExecuteFunctions,
	itemIndex: number,
	{ manifest }: KnownArtifact,
	{ error, recoveryTime, dataAge, ...report }: RestoreTestReport,
	proof?: IDataObject,
): INodeExecutionData[][] {
	const seconds = (milliseconds: number) => Math.round(milliseconds / 10) / 100;
	const found: IDataObject = {
		...(report as unknown as IDataObject),
		recoverySeconds: seconds(recoveryTime),
		dataAgeSeconds: seconds(dataAge),
		...(proof ? { proof } : {}),
	};
	for (const message of report.warnings) {
		context.addExecutionHints({ type: 'warning', location: 'outputPane', message });
	}
	if (error) return failed(context, itemIndex, error, { ...found, manifest });
	return passed(passOn(context, itemIndex, { verification: found }));
}
