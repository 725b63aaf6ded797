import { bundleEntry } from '../archive/bundle';
import type { Artifact } from '../artifact/artifact';
import type { Manifest } from '../artifact/manifest';
import { undoEncodings, type Decoder } from '../artifact/transform';
import type { RestoreCheck, RestoreTestFindings, ScratchDatabase, SqlCheck } from '../databases/scratch';
import { LifeboatError, messageOf } from '../errors';
import type { Proof } from '../storage/backups';
import { version } from '../../package.json';

import { checkBackup, isVerdict } from './outcome';
import type { VerificationLevel } from './report';
import { testFiles } from './restored-files';

type KnownArtifact = Artifact & { manifest: Manifest };

export interface RestoreTestOptions {
	decoder: Decoder;
	/** The places for databases; the first that takes backups of this kind is used. */
	scratches: readonly ScratchDatabase[];
	/** A folder in which archives of files are unpacked, each in a new one. */
	folder: string;
	/** Asked in every database of the backup. */
	sqlChecks?: readonly SqlCheck[];
	/** How long one SQL check may take, in ms. */
	checkTimeoutMs?: number;
	clock?: () => Date;
	signal?: AbortSignal;
}

/** What a restore test found. */
export interface RestoreTestReport {
	/** `not testable`: the place lacked what the backup needs. It says nothing of the backup, and proves nothing. */
	result: 'passed' | 'failed' | 'not testable';
	/** `restores` if it got so far, else the first level that does not hold. */
	level: VerificationLevel | 'restores';
	/** Where it was restored: `PostgreSQL 18.3 in process`. Empty if it never came to that. */
	method: string;
	/** ISO 8601, UTC. */
	testedAt: string;
	/** Milliseconds from opening the backup to the end of its restore: what a real one takes at least (RTO). */
	recoveryTime: number;
	/** Milliseconds between the moment whose data it holds and the test: what would be lost (RPO). */
	dataAge: number;
	/** How long the whole test took, in seconds. */
	seconds: number;
	checks: RestoreCheck[];
	/** What verification proved before, one sentence each. */
	proved: string[];
	warnings: string[];
	/** Why it did not pass. */
	error?: LifeboatError;
}

/** Codes of a restore that are a verdict on the backup, besides those of verification. */
const restoreVerdicts = new Set([
	'LINK_TARGET_MISSING',
	'META_COMMAND_REFUSED',
	'NAME_COLLISION',
	'STATEMENT_FAILED',
	'STATEMENT_REFUSED',
	'STATEMENT_TOO_LONG',
]);

/**
 * Verifies a backup as `verifyComplete` does, then restores it into a scratch place, compares what is there with the manifest, and throws
 * it away: a database by `scratches`, files into a folder, of a bundle everything in it.
 *
 * @throws LifeboatError what keeps the backup from being looked at or the place from being used; `SCRATCH_LOST`, `CONNECTION_FAILED` ...
 */
export async function testRestore(
	artifact: KnownArtifact,
	options: RestoreTestOptions,
): Promise<RestoreTestReport> {
	const { decoder, signal, clock = () => new Date() } = options;
	const started = performance.now();
	const now = clock();
	const report: RestoreTestReport = {
		...{ result: 'passed', level: 'restores', method: '', recoveryTime: 0, seconds: 0 },
		...{ checks: [], proved: [], warnings: [] },
		testedAt: now.toISOString(),
		dataAge: now.getTime() - Date.parse(artifact.manifest.createdAt),
	};
	const verified = await checkBackup(artifact, 'complete', decoder, signal);
	if (!verified.passed) {
		const { level, error, proved } = verified;
		Object.assign(report, { result: 'failed', level, error, proved });
	} else {
		report.proved = verified.report.proved;
		const methods = new Set<string>();
		const parts = partsOf(artifact, decoder);
		if (parts.length === 0) {
			const hint = 'Make the bundle again';
			report.error = new LifeboatError('EMPTY', `${artifact.manifest.fileName} holds no backup`, { hint });
			report.result = 'failed';
		}
		for (const part of parts) {
			const findings = await testPart(part, options, report);
			if (!findings) continue;
			methods.add(findings.method);
			report.recoveryTime += findings.recoveryTime;
			add(report, part.name, findings);
		}
		report.method = [...methods].join(', ');
	}
	report.seconds = Math.round(performance.now() - started) / 1000;
	return report;
}

/** The proof to be written beside a backup. Only of a test that came to a result. */
export function toProof({ id, stored }: Manifest, report: RestoreTestReport): Omit<Proof, 'formatVersion'> {
	const { testedAt, method, recoveryTime, dataAge, checks } = report;
	return {
		...{ backupId: id, storedSha256: stored.sha256, testedAt, passed: report.result === 'passed', method },
		...{ recoveryTime, dataAge, checks, tool: { name: 'n8n-nodes-lifeboat', version } },
	};
}

/** Something to be restored by itself. */
interface Part {
	/** Empty unless it lies in a bundle. */
	name: string;
	manifest: Omit<Manifest, 'entries'>;
	/** Its content, all transformations undone. */
	content: Artifact;
}

function partsOf(artifact: KnownArtifact, decoder: Decoder): Part[] {
	const { manifest } = artifact;
	const content = undoEncodings(artifact, decoder);
	if (manifest.kind !== 'bundle') return [{ name: '', manifest, content }];
	return (manifest.entries ?? []).map((entry) => {
		const inner = bundleEntry({ ...content, manifest }, ({ path }) => path === entry.path);
		return { name: entry.path, manifest: entry.manifest, content: undoEncodings(inner, decoder) };
	});
}

/** Undefined where it could not be restored: the report then says why. */
async function testPart(
	{ name, manifest, content }: Part,
	{ scratches, folder, sqlChecks, checkTimeoutMs, signal }: RestoreTestOptions,
	report: RestoreTestReport,
): Promise<RestoreTestFindings | undefined> {
	const open = async (openSignal?: AbortSignal) => (await content.open(openSignal)).stream;
	try {
		if (manifest.source.type !== 'database') return await testFiles(open, manifest, folder, signal);
		const { engine, globals = false } = manifest.source;
		const scratch = scratches.find((each) => each.engine === engine && (each.takesGlobals || !globals));
		if (!scratch) {
			throw new LifeboatError('NOT_TESTABLE', `There is no restore test for backups of ${engine} yet`, {
				hint: 'Verify it with the level Complete, and restore it by hand now and then',
			});
		}
		const request = {
			...{ open, manifest },
			...(sqlChecks && { sqlChecks }),
			...(checkTimeoutMs !== undefined && { checkTimeoutMs }),
		};
		return await scratch.test(request, signal ? { signal } : {});
	} catch (error) {
		signal?.throwIfAborted();
		if (!(error instanceof LifeboatError)) throw error;
		const { code } = error;
		const isFailure = restoreVerdicts.has(code) || isVerdict(error);
		if (!isFailure && code !== 'NOT_TESTABLE') throw error;
		if (isFailure) report.result = 'failed';
		else if (report.result === 'passed') report.result = 'not testable';
		// Of several reasons, a failure says most.
		if (!report.error || isFailure) report.error = error;
		report.checks.push({ name: checkName(name, 'Restore'), passed: false, detail: messageOf(error) });
		return undefined;
	}
}

function add(report: RestoreTestReport, part: string, { checks, warnings }: RestoreTestFindings): void {
	report.checks.push(...checks.map((check) => ({ ...check, name: checkName(part, check.name) })));
	report.warnings.push(...warnings);
	const wrong = checks.filter(({ passed }) => !passed);
	if (wrong.length === 0) return;
	const summary = wrong
		.map(({ name, detail }) => `${checkName(part, name)}: ${detail ?? 'failed'}`)
		.join('; ');
	if (report.result !== 'failed' || !report.error) {
		report.error = new LifeboatError(
			'CHECK_FAILED',
			`The restored backup is not as it should be: ${summary}`,
			{
				hint: 'Look at the checks of the result. Keep older backups until one passes again',
			},
		);
	}
	report.result = 'failed';
}

function checkName(part: string, name: string): string {
	return part === '' ? name : `${part}: ${name}`;
}
