import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { sha256Sidecar } from '../../../lib/storage/backups/sidecars';
import {
	checksumAlgorithms,
	checksumsOf,
	expectedChecksum,
	verifyChecksumFile,
	type ChecksumName,
} from '../../../lib/verification/checksum';

import { dumpOf, failsWith, inFolder, sampleBytes, withBytes } from '../archive/helpers';

const run = promisify(execFile);
const names = Object.keys(checksumAlgorithms) as ChecksumName[];

for (const name of names) {
	const { command, extension } = checksumAlgorithms[name];
	for (const fileName of ['shop-20261121T020000Z.sql', 'größe 100% (1) = a.sql', 'back\\slash.sql']) {
		test(`${command} takes our file, and we take what it writes (${fileName})`, () =>
			inFolder(async (folder) => {
				const original = await dumpOf('');
				const bytes = sampleBytes(300_000);
				const backup = withBytes({ ...original.manifest, fileName }, bytes);
				const read = { ...backup, open: async () => await streamed(backup.manifest, bytes) };
				await writeFile(join(folder, fileName), bytes);
				const { values, size } = await checksumsOf(read, [name]);
				assert.equal(size, bytes.length);
				await writeFile(join(folder, `sum${extension}`), sha256Sidecar(fileName, values.get(name)!));
				await run(command, ['--strict', '-c', `sum${extension}`], { cwd: folder });
				for (const args of [[], ['--binary'], ['--tag']]) {
					const { stdout } = await run(command, [...args, '--', fileName], { cwd: folder });
					assert.match(await verifyChecksumFile(read, stdout), /has the .* of the checksum file$/);
					const broken = Buffer.from(bytes);
					broken[150_000]! ^= 1;
					const damaged = { ...read, open: async () => await streamed(backup.manifest, broken) };
					await assert.rejects(verifyChecksumFile(damaged, stdout), failsWith('CHECKSUM_MISMATCH'));
				}
			}));
	}
}

async function streamed(manifest: Awaited<ReturnType<typeof dumpOf>>['manifest'], bytes: Buffer) {
	const { Readable } = await import('node:stream');
	return {
		stream: Readable.from([bytes.subarray(0, 1000), bytes.subarray(1000)]),
		finish: async () => manifest,
	};
}

test('the right line is found among others, and what is no checksum file is refused', () => {
	const hex = (digits: number) => 'ab'.repeat(digits / 2);
	const text = `${hex(64)}  other\n${hex(32).toUpperCase()} *mine\n`;
	assert.deepEqual(expectedChecksum(text, 'mine'), { algorithms: ['md5'], value: hex(32) });
	assert.deepEqual(expectedChecksum(`${hex(128)}  mine`, 'mine').algorithms, ['blake2b', 'sha512']);
	assert.deepEqual(expectedChecksum(`SHA512 (mine) = ${hex(128)}`, 'mine').algorithms, ['sha512']);
	assert.throws(() => expectedChecksum(text, 'missing'), failsWith('NOT_FOUND', /does not list missing/));
	for (const bad of ['hello', `${hex(64).slice(2)}  mine`, `${hex(64)} mine`, `SHA1 (mine) = ${hex(64)}`]) {
		assert.throws(() => expectedChecksum(bad, 'mine'), failsWith('CHECKSUM_FILE_INVALID'), bad);
	}
});
