import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import {
	NodeHelpers,
	type INode,
	type INodeParameters,
	type INodeProperties,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { createAgeIdentity } from '../../lib/encryption/encryption';
import packageJson from '../../package.json';

import { testCredential } from './node-methods';
import { nodePackage } from './package-loader';

const root = join(__dirname, '../..');
const names = packageJson.n8n.nodes.map((path) => path.split('/').at(-2)!);

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
		assert.deepEqual(asked({ storage: 's3' }), ['s3']);
		assert.deepEqual(asked({ storage: 'local', s3Used: 'yes' }), [], 'left from another choice');
		const copy = (storage: string, targetStorage: string) =>
			asked({ operation: 'copy', storage, targetStorage });
		assert.deepEqual(copy('local', 's3'), ['s3']);
		assert.deepEqual(copy('s3', 'local'), ['s3']);
		assert.deepEqual(copy('s3', 's3'), ['s3']);
		assert.deepEqual(copy('sftp', 'azure').toSorted(), ['azureStorageSharedKeyApi', 'sftp']);
		assert.deepEqual(asked({ operation: 'upload', storage: 'local', targetStorage: 's3' }), []);
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
