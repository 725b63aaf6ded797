import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';

/** A key ring of its own, with the `gpg` command. */
export class GnuPg {
	private constructor(readonly home: string) {}

	static async create(): Promise<GnuPg> {
		return new GnuPg(await mkdtemp(join(tmpdir(), 'lb-gpg-')));
	}

	/** @returns standard output. Fails with what gpg said. */
	async run(args: readonly string[], input: Buffer | string = '', passphrase = ''): Promise<Buffer> {
		const { output, status, said } = await this.try(args, input, passphrase);
		if (status !== 0) throw new Error(`gpg ended with status ${status}: ${said}`);
		return output;
	}

	async try(
		args: readonly string[],
		input: Buffer | string = '',
		passphrase = '',
	): Promise<{ output: Buffer; status: number | null; said: string }> {
		const child = spawn(
			'gpg',
			[
				'--batch',
				'--yes',
				'--trust-model',
				'always',
				'--pinentry-mode',
				'loopback',
				'--passphrase-fd',
				'3',
				...args,
			],
			{ env: { ...process.env, GNUPGHOME: this.home, LC_ALL: 'C' }, stdio: ['pipe', 'pipe', 'pipe', 'pipe'] },
		);
		for (const [fd, text] of [
			[0, input],
			[3, `${passphrase}\n`],
		] as const) {
			const pipe = child.stdio[fd] as NodeJS.WritableStream;
			// It may end before it has read everything; its status tells.
			pipe.on('error', () => undefined);
			pipe.end(text);
		}
		const [output, said, [status]] = await Promise.all([
			buffer(child.stdout),
			buffer(child.stderr),
			once(child, 'close') as Promise<[number | null]>,
		]);
		return { output, status, said: said.toString() };
	}

	/** Makes a key. @returns its fingerprint, and both parts in ASCII armour. */
	async makeKey(
		name: string,
		[primary, sub]: readonly [string, string] = ['ed25519', 'cv25519'],
		passphrase = '',
	): Promise<{ fingerprint: string; publicKey: string; privateKey: string }> {
		const user = `${name} <${name}@example.org>`;
		await this.run(['--quick-generate-key', user, primary, 'sign', 'never'], '', passphrase);
		const listed = (await this.run(['--with-colons', '--list-keys', user])).toString();
		const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(listed)![1]!;
		await this.run(['--quick-add-key', fingerprint, sub, 'encr', 'never'], '', passphrase);
		const publicKey = (await this.run(['--armor', '--export', fingerprint])).toString();
		const privateKey = (
			await this.run(['--armor', '--export-secret-keys', fingerprint], '', passphrase)
		).toString();
		return { fingerprint, publicKey, privateKey };
	}

	/** Ends its agent, and removes the key ring. */
	async close(): Promise<void> {
		const child = spawn('gpgconf', ['--kill', 'all'], { env: { ...process.env, GNUPGHOME: this.home } });
		await once(child, 'close');
		await rm(this.home, { recursive: true, force: true, maxRetries: 5 });
	}
}
