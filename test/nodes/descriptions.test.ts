import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import {
	NodeHelpers,
	Workflow,
	type INode,
	type INodeParameters,
	type INodeProperties,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { createAgeIdentity } from '../../lib/encryption/encryption';
import packageJson from '../../package.json';

import { testCredential } from './node-methods';
import { nodePackage } from './package-loader';

const root = join(__dirname, '../..');
const names = packageJson.n8n.nodes.map((path) => path.split('/').at(-2)!);

/** What the canvas shows beneath the name of a node. */
function subtitle(type: INodeTypeDescription, given: INodeParameters): string {
	const node: INode = {
		...{ id: 'node', name: 'Node', type: type.name, typeVersion: 1, position: [0, 0], parameters: given },
	};
	node.parameters = NodeHelpers.getNodeParameters(type.properties, given, true, false, node, type)!;
	const known = { description: type } as INodeType;
	const workflow = new Workflow({
		...{ nodes: [node], connections: {}, active: false },
		nodeTypes: { getByName: () => known, getByNameAndVersion: () => known, getKnownTypes: () => ({}) },
	});
	return String(workflow.expression.getSimpleParameterValue(node, type.subtitle, 'internal', {}));
}

describe('what the editor shows', () => {
	const descriptions = new Map<string, INodeTypeDescription>();

	before(async () => {
		const loader = await nodePackage();
		for (const name of names) {
			const type = loader.getNode(name[0]!.toLowerCase() + name.slice(1)).type;
			descriptions.set(name, type.description as INodeTypeDescription);
		}
	});

	test('there are eight nodes', () => {
		assert.equal(names.length, 8);
	});

	for (const name of names) {
		test(`${name} has a light and a dark icon, a subtitle and a codex with a page that exists`, async () => {
			const description = descriptions.get(name)!;
			// n8n's loader has resolved them: its server serves them from here.
			const { light, dark } = description.iconUrl as { light: string; dark: string };
			assert.notEqual(light, dark);
			for (const url of [light, dark]) {
				const svg = await readFile(
					join(root, url.replace('icons/n8n-nodes-lifeboat/', '').replace(/^dist\//, '')),
					'utf8',
				);
				assert.match(svg, /viewBox="0 0 (\d+) \1"/);
			}
			assert.ok(description.subtitle);
			const codex = JSON.parse(await readFile(join(root, 'nodes', name, `${name}.node.json`), 'utf8')) as {
				node: string;
				resources: { primaryDocumentation: { url: string }[] };
			};
			assert.equal(codex.node, `n8n-nodes-lifeboat.${description.name}`);
			await readFile(join(root, codex.resources.primaryDocumentation[0]!.url.split('/blob/main/')[1]!));
		});

		test(`${name}: its subtitle says in words what each operation does`, () => {
			const description = descriptions.get(name)!;
			const operations = description.properties.find((each) => each.name === 'operation')?.options as
				{ value: string }[] | undefined;
			const storages = description.properties.some((each) => each.name === 'storage')
				? [{}, { storage: 's3', bucket: 'acme' }, { storage: 'azure', container: 'acme' }, { storage: 'aws' }]
				: [{}];
			for (const { value: operation } of operations ?? [{ value: undefined }]) {
				for (const storage of storages) {
					const text = subtitle(description, { ...(operation && { operation }), ...storage });
					assert.match(text, /^[a-zA-Z][^{}[\]]+[^:\s]$/, `${operation}: ${text}`);
					assert.doesNotMatch(text, /undefined|null|\b[a-z]+[A-Z]/, `${operation}: ${text}`);
				}
			}
		});

		test(`${name}: its options stand in alphabetical order, its texts are complete`, () => {
			const visit = (properties: INodeProperties[]) => {
				for (const property of properties) {
					if (property.type === 'notice') continue;
					assert.ok(property.displayName, property.name);
					if (property.name !== 'operation' && property.type !== 'collection') {
						assert.ok(property.description ?? property.hint, `${property.name} has no description`);
					}
					const options = (property.options ?? []) as INodeProperties[];
					if (property.type === 'collection') {
						const titles = options.map(({ displayName }) => displayName);
						assert.deepEqual(
							titles,
							titles.toSorted((a, b) => a.localeCompare(b)),
							property.name,
						);
						visit(options);
					}
				}
			};
			visit(descriptions.get(name)!.properties);
		});
	}

	test('subtitles name the place, the policy and the target', () => {
		const of = (name: string, parameters: INodeParameters) => subtitle(descriptions.get(name)!, parameters);
		assert.equal(of('Upload', { storage: 'azure', container: 'nightly' }), 'upload: nightly');
		assert.equal(of('Upload', { storage: 'sftp' }), 'upload: SFTP');
		assert.equal(of('ApplyRetention', { policy: 'sevenDaily' }), 'dry run, keep 7 daily');
		assert.equal(of('ApplyRetention', { policy: 'custom', mode: 'delete' }), 'delete, keep by rules');
		assert.equal(of('BackupWatchTrigger', { folder: '/backups' }), '/backups, at most 26h old');
		assert.equal(of('ArchiveFiles', {}), 'files');
		assert.equal(of('Restore', { target: 'swap', targetDatabase: 'shop' }), 'swap database: shop');
		const chosen = { __rl: true, mode: 'list', value: 'shop' };
		assert.equal(of('Restore', { targetDatabase: chosen }), 'database: shop');
	});

	test('before data goes away, or a secret comes out, the panel says so', () => {
		const notices = (name: string, given: INodeParameters) => {
			const description = descriptions.get(name)!;
			const node: INode = {
				...{ id: name, name, type: name, typeVersion: 1, position: [0, 0], parameters: {} },
			};
			const all = description.properties;
			const parameters = NodeHelpers.getNodeParameters(all, given, true, false, node, description)!;
			return all
				.filter(({ type }) => type === 'notice')
				.filter((each) => NodeHelpers.displayParameter(parameters, each, node, description))
				.map(({ displayName }) => displayName)
				.join(' ');
		};
		const dangerous: [node: string, given: INodeParameters, notice: RegExp][] = [
			['ApplyRetention', { mode: 'delete' }, /deleted for good/],
			['Encrypt', { operation: 'createKey' }, /appears in the output/],
			['Encrypt', { operation: 'recoveryKit', secretKeys: 'include' }, /opens every backup/],
			['Encrypt', { operation: 'reencrypt', backupSource: 'stored' }, /is replaced/],
			['Restore', { ifNotEmpty: 'clean' }, /is dropped/],
			['Restore', { target: 'swap', presentContent: 'drop' }, /gone for good/],
			['Restore', { operation: 'files', ifExists: 'replace' }, /overwritten/],
			['Upload', { operation: 'copy', ifExists: 'replace' }, /overwritten/],
			['Upload', { operation: 'delete' }, /deleted for good/],
			['Upload', { ifExists: 'replace' }, /overwritten/],
		];
		for (const [name, given, notice] of dangerous) assert.match(notices(name, given), notice);
		for (const name of ['ApplyRetention', 'Encrypt', 'Restore', 'Upload']) {
			assert.equal(notices(name, {}), '', `${name} is harmless unless told otherwise`);
		}
	});

	test('Upload asks for the credentials of the storages it has, once each', () => {
		const upload = descriptions.get('Upload')!;
		const asked = (given: INodeParameters) => {
			const node: INode = {
				...{ id: 'upload', name: 'Upload', type: 'upload', typeVersion: 1, position: [0, 0] },
				parameters: {},
			};
			const parameters = NodeHelpers.getNodeParameters(upload.properties, given, true, false, node, upload)!;
			return upload
				.credentials!.filter((each) => NodeHelpers.displayParameter(parameters, each, node, upload))
				.map(({ name }) => name);
		};
		assert.deepEqual(asked({}), []);
		// The second one only where an option asks for it.
		const ofS3 = ['s3', 'lifeboatS3CustomerKeyApi'];
		assert.deepEqual(asked({ storage: 's3' }), ofS3);
		assert.deepEqual(asked({ storage: 'local', s3Used: 'yes' }), [], 'left from another choice');
		const copy = (storage: string, targetStorage: string) =>
			asked({ operation: 'copy', storage, targetStorage });
		assert.deepEqual(copy('local', 's3'), ofS3);
		assert.deepEqual(copy('s3', 'local'), ofS3);
		assert.deepEqual(copy('s3', 's3'), ofS3);
		assert.deepEqual(copy('s3', 'aws').toSorted(), ['aws', ...ofS3].toSorted());
		assert.deepEqual(copy('sftp', 'azure').toSorted(), ['azureStorageSharedKeyApi', 'sftp']);
		assert.deepEqual(asked({ operation: 'upload', storage: 'local', targetStorage: 's3' }), []);
	});

	test('the test of a customer key of S3 tells one from what is none', async () => {
		const result = async (customerKey: string) =>
			await testCredential('upload', 'lifeboatS3CustomerKeyApi', { customerKey });
		const good = await result(Buffer.alloc(32, 'x').toString('base64'));
		assert.deepEqual([good.status, /256 bits/.test(good.message)], ['OK', true]);
		for (const wrong of ['', 'secret-but-short']) {
			const { status, message } = await result(wrong);
			assert.equal(status, 'Error');
			assert.match(message, /not 256 bits in base64.*openssl rand/);
			assert.ok(!message.includes('secret-but-short'));
		}
	});

	test('the credential test tells good keys from bad ones', async () => {
		const identity = 'AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX';

		const pair = await createAgeIdentity();
		const result = async (data: Record<string, string>) =>
			await testCredential('encrypt', 'lifeboatEncryptionApi', data);
		assert.equal((await result({ recipients: pair.recipient })).status, 'OK');
		assert.equal((await result({ recipients: pair.recipient, identity: pair.identity })).status, 'OK');
		assert.equal((await result({ identity: pair.identity })).status, 'OK');
		assert.equal((await result({ passphrase: 'x' })).status, 'OK');
		const other = await createAgeIdentity();
		for (const bad of [
			{},
			{ recipients: 'age1nonsense' },
			{ recipients: pair.recipient, identity: other.identity },
			{ identity: 'nonsense' },
			{ identity: identity.slice(0, -3) },
		]) {
			const { status, message } = await result(bad as Record<string, string>);
			assert.equal(status, 'Error', JSON.stringify(bad));
			assert.ok(message && !message.includes(pair.identity) && !message.includes('SECRET-KEY-1G'));
		}
	});
});
