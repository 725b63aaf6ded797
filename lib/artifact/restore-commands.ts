import type { ManifestDraft, Transformation } from './manifest';

/** What takes the content, once all transformations are undone. */
const consumeCommands: Record<ManifestDraft['format'], string> = {
	tar: 'tar -xf - -C <target folder>',
	'plain-sql': 'psql --no-psqlrc --single-transaction --set ON_ERROR_STOP=1 --dbname <empty database>',
	'pg-custom': 'pg_restore --single-transaction --exit-on-error --dbname <empty database>',
};

/** Roles and tablespaces go into no database, and tablespaces are not created within a transaction. */
const globalsCommand = 'psql --no-psqlrc --set ON_ERROR_STOP=1 --dbname postgres';

/**
 * The shell pipeline that opens a backup with standard tools alone, so that its manifest is a recovery manual.
 * Placeholders stand in angle brackets; nothing secret is ever part of it.
 */
export function restoreCommands(manifest: ManifestDraft): string[] {
	const undo = manifest.transformations.toReversed().map(undoCommand);
	const file = shellQuote(manifest.fileName);
	const { source } = manifest;
	const isGlobals = source.type === 'database' && source.globals === true;
	const consume = isGlobals ? globalsCommand : consumeCommands[manifest.format];
	const steps = [...undo, consume];
	const commands = [
		`sha256sum -c ${shellQuote(`${manifest.fileName}.sha256`)}`,
		`${steps[0]} < ${file}${steps
			.slice(1)
			.map((step) => ` | ${step}`)
			.join('')}`,
	];
	if (manifest.kind !== 'bundle') return commands;
	return [
		...commands,
		...(manifest.entries ?? []).flatMap((entry) =>
			restoreCommands({ ...entry.manifest, fileName: entry.path }).slice(-1),
		),
	];
}

function undoCommand(transformation: Transformation): string {
	if (transformation.type === 'compression') return transformation.format === 'zstd' ? 'zstd -d' : 'gzip -d';
	if (transformation.format === 'openpgp') return 'gpg --decrypt';
	// No standard tool knows this format: the script is in the recovery kit, and needs only Node.
	if (transformation.format === 'aes-256-gcm')
		return 'node recover.mjs decrypt --passphrase-file <passphrase file>';
	return transformation.recipients?.length ? 'age -d -i <identity file>' : 'age -d';
}

function shellQuote(text: string): string {
	return /^[\w./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
