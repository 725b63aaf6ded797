/** The page of a recovery kit that says what to do. */
export function instructions(kit: { now: Date; version: string; includesSecrets: boolean }): string {
	const secrets = kit.includesSecrets
		? '**This kit holds secret keys** (`identity.txt`, `openpgp-private-keys.asc`, `passphrase.txt` as far as they are in use): whoever has it can open the backups. Keep it in a safe, not beside them.'
		: 'This kit holds no secret. Keep the identity, private key or passphrase in another place, and this kit beside the backups and off-site.';
	return `# Recovery kit

Made on ${kit.now.toISOString()} by n8n-nodes-lifeboat ${kit.version}. With it you open backups of that package without n8n.

${secrets}

| File | |
|---|---|
| \`recover.mjs\` | a script that needs Node 18.19 or newer (\`apt install nodejs\` on Debian 12, Ubuntu 24.04 and later; else nodejs.org) and nothing else: no install, no network |
| \`keys.txt\` | the public keys the backups are encrypted for |

## With the script
1. Get the backup, and the two files beside it whose names go on with \`.manifest.json\` and \`.sha256\`, by whatever copies files: \`aws s3 cp\`, \`rclone copy\`, \`scp\`, a browser. The script also works without the two, and under any name, but then only the formats' own ends tell whether all of it is there.
2. \`node recover.mjs list <folder>\` says which backups lie there, which key each needs, and the command that opens it.
3. \`node recover.mjs verify <backup or folder> -i identity.txt\` reads all of it and compares it with the manifest. Nothing is written.
4. Files: \`node recover.mjs unpack <backup> -i identity.txt -C <new folder>\`.
   Databases: \`node recover.mjs open <backup> -i identity.txt\` writes the SQL or dump file, and says what to run next.

\`-i\` takes the file of an age identity or an SSH private key. A passphrase is asked for, or read with \`--passphrase-file\`.
Backups in the OpenPGP format (\`.gpg\`) are handed to the command \`gpg\`: import the private key there first.
A bundle unpacks to further backups, which are opened in the same way.

## With standard tools
The manifest beside each backup lists the commands under \`restoreCommands\`; for a bundle, those after the second are for the files it unpacks to, in their folder. In general, from left to right as the name ends:

| Ending | Debian package | Command |
|---|---|---|
| \`.sha256\` | coreutils | \`sha256sum -c <backup>.sha256\` |
| \`.age\` | age | \`age -d -i identity.txt < backup\`, with a passphrase \`age -d < backup\` |
| \`.gpg\` | gnupg | \`gpg --import private.asc\`, then \`gpg --decrypt < backup\` |
| \`.aes\` | none: \`recover.mjs\` alone | \`node recover.mjs decrypt --passphrase-file passphrase.txt < backup\` |
| \`.zst\` | zstd | \`zstd -d\` |
| \`.gz\` | gzip | \`gzip -d\` |
| \`.tar\` | tar | \`tar -xf - -C <new folder>\` |
| \`.sql\` | postgresql-client | \`psql --no-psqlrc --single-transaction --set ON_ERROR_STOP=1 --dbname <empty database>\` |
| \`.sql\` of roles (\`globals\`) | postgresql-client | \`psql --no-psqlrc --set ON_ERROR_STOP=1 --dbname postgres\` |
| \`.dump\` | postgresql-client | \`pg_restore --single-transaction --exit-on-error --dbname <empty database>\` |

For example:

\`\`\`sh
mkdir restored
age -d -i identity.txt < uploads-20261121T020000Z.tar.zst.age | zstd -d | tar -xf - -C restored
createdb --template template0 --encoding UTF8 shop
age -d -i identity.txt < shop-20261121T020000Z.sql.zst.age | zstd -d | psql --no-psqlrc --single-transaction --set ON_ERROR_STOP=1 --dbname shop
\`\`\`

A \`.sql\` file holds what belongs to the database as a whole (settings, privileges) as comments at its head. For a database of the same name:

\`\`\`sh
sed -n 's/^-- Database property: //p' shop.sql | psql --no-psqlrc --set ON_ERROR_STOP=1 --dbname postgres
\`\`\`

\`gpg\` and pipelines hand on data before all of it is proven: look at the status of every command (\`set -o pipefail\`), and drop what came out if one failed.

| What is said | What to do |
|---|---|
| \`role "x" does not exist\` | restore the backup of the roles first, or make the role: \`createuser x\`. With \`pg_restore\`, \`--no-owner --no-privileges\` does without |
| \`unsupported version (1.15) in file header\` | the archive needs \`pg_restore\` 16 or newer, (1.16) needs 17 (apt.postgresql.org has them) |
| \`extension "x" is not available\` | install it on the server, as it was on the old one |
| \`no identity matched any of the recipients\` | another key: \`recover.mjs list\` and the manifest name the right one |

## Once a year
Take this kit, a backup and the key to another machine, and open it. A key that was never tried is no key.
`;
}
