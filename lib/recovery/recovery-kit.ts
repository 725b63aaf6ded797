import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { encodeEntry, END_OF_ARCHIVE, padding } from '../archive/tar-writer';
import { parseIdentities, parseRecipients } from '../encryption/age/keys';
import type { EncryptionKeys } from '../encryption/encryption';
import { fingerprintOf, parsePrivateKeys, parsePublicKeys } from '../encryption/openpgp/keys';
import { passphrasesOf } from '../encryption/passphrases';
import { version } from '../../package.json';

import { instructions } from './instructions';

export interface RecoveryKitOptions {
	/** Public keys are named; nothing secret is put in unless asked for. */
	keys: EncryptionKeys;
	/** Puts the secret keys and passphrases in, too. Whoever has the kit can then open the backups. */
	includeSecrets?: boolean;
	now: Date;
}

/** The folder within the archive. */
const FOLDER = 'lifeboat-recovery-kit';

/** The script, beside `lib` both in the sources and in the built package. */
const SCRIPT = join(__dirname, '../../recovery/recover.mjs');

/**
 * What opens backups where n8n isn't: a script that needs only Node, instructions with the standard commands, and the public
 * keys the backups are encrypted for. A tar archive of about 50 KB.
 *
 * @throws LifeboatError when a key is malformed.
 */
export async function recoveryKit({
	keys,
	includeSecrets = false,
	now,
}: RecoveryKitOptions): Promise<Buffer> {
	const files: Array<[name: string, text: string, mode: number]> = [
		['README.md', instructions({ now, version, includesSecrets: includeSecrets }), 0o644],
		['keys.txt', await publicKeysOf(keys), 0o644],
		['recover.mjs', await readFile(SCRIPT, 'utf8'), 0o755],
		...(includeSecrets ? secretFiles(keys) : []),
	];
	const entries = files.flatMap(([name, text, mode]) => {
		const content = Buffer.from(text);
		const mtimeNs = BigInt(Math.floor(now.getTime() / 1000)) * 1_000_000_000n;
		const path = `${FOLDER}/${name}`;
		return [
			encodeEntry({ type: 'File', name: path, size: content.length, mode, uid: 0, gid: 0, mtimeNs }),
			content,
			padding(content.length),
		];
	});
	return Buffer.concat([...entries, END_OF_ARCHIVE]);
}

/** What a manifest names under `recipients`, so that the right secret can be looked for. */
async function publicKeysOf({
	recipients,
	identities,
	openpgp = {},
	...rest
}: EncryptionKeys): Promise<string> {
	const age = new Set(parseRecipients(recipients));
	for (const identity of parseIdentities(identities)) age.add(await identity.recipient());
	const fingerprints = new Set((await parsePublicKeys(openpgp.publicKeys)).map(fingerprintOf));
	const privateKeys = await parsePrivateKeys(
		openpgp.privateKeys,
		'OpenPGP Private Keys',
		openpgp.keyPassphrase,
	);
	for (const key of privateKeys) fingerprints.add(fingerprintOf(key));
	const section = (title: string, keys: Iterable<string>) => {
		const list = [...keys];
		return `${title}\n${list.length > 0 ? list.map((key) => `  ${key}`).join('\n') : '  none'}\n`;
	};
	return [
		'The keys these backups are encrypted for. They are public; what opens the backups is not in this file.\n',
		section('age recipients (the secret is an identity, AGE-SECRET-KEY-1..., or an SSH private key):', age),
		section(
			'OpenPGP keys, by fingerprint (the secret is in a key ring of gpg, or an exported private key):',
			fingerprints,
		),
		section('Passphrase:', passphrasesOf(rest).length > 0 ? ['one is in use, or was'] : []),
	].join('\n');
}

function secretFiles(keys: EncryptionKeys): Array<[string, string, number]> {
	const { identities = [], openpgp = {} } = keys;
	const lines = (texts: readonly string[]) => texts.map((text) => `${text.trimEnd()}\n`).join('');
	const files: Array<[string, string]> = [
		['identity.txt', lines(identities)],
		['openpgp-private-keys.asc', lines(openpgp.privateKeys ?? [])],
		['openpgp-key-passphrase.txt', lines(openpgp.keyPassphrase ? [openpgp.keyPassphrase] : [])],
		[
			'passphrase.txt',
			passphrasesOf(keys)
				.map((each) => `${each}\n`)
				.join(''),
		],
	];
	return files.filter(([, text]) => text !== '').map(([name, text]) => [name, text, 0o600]);
}
