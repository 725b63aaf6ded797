import n8nCommunityNodes from '@n8n/eslint-plugin-community-nodes';
import n8nNodesBase from 'eslint-plugin-n8n-nodes-base';
import tseslint from 'typescript-eslint';

/** Inside lib the arrows point one way: a folder uses only those before it. */
const layers = [
	'streams',
	'artifact',
	'compression',
	'encryption',
	'archive',
	'databases',
	'storage',
	'recovery',
	'retention',
	'verification',
	'watch',
];

const noN8n = {
	regex: '^(n8n-|@n8n/)',
	message: 'lib knows nothing of n8n: put what needs it into nodes/shared',
};

const layerRules = layers.map((layer, index) => ({
	files: [`lib/${layer}/**/*.ts`],
	rules: {
		'no-restricted-imports': [
			'error',
			{
				patterns: [
					noN8n,
					{ regex: '(^|/)nodes/', message: 'lib does not know the nodes' },
					...layers.slice(index + 1).map((later) => ({
						regex: `^(\\.\\./)+${later}/`,
						message: `lib/${layer} comes before lib/${later} and must not use it`,
					})),
				],
			},
		],
	},
}));

export default tseslint.config(
	{ ignores: ['dist/**', 'output/**', '**/node_modules/**'] },
	{
		files: ['**/*.ts'],
		extends: [...tseslint.configs.recommendedTypeChecked],
		languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
		rules: {
			'@typescript-eslint/consistent-type-imports': 'error',
			'@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
			'@typescript-eslint/switch-exhaustiveness-check': 'error',
			'@typescript-eslint/require-await': 'off',
			'@typescript-eslint/only-throw-error': 'error',
			'no-console': 'error',
		},
	},
	{ files: ['lib/*.ts'], rules: { 'no-restricted-imports': ['error', { patterns: [noN8n] }] } },
	...layerRules,
	{
		// node:test's `test` and `describe` return promises that its runner awaits.
		files: ['test/**/*.ts', 'demo/**/*.ts'],
		rules: { '@typescript-eslint/no-floating-promises': 'off', 'no-console': 'off' },
	},
	{
		files: ['package.json'],
		languageOptions: { parser: tseslint.parser, parserOptions: { extraFileExtensions: ['.json'] } },
	},
	{
		files: ['nodes/**/*.ts', 'credentials/**/*.ts', 'package.json'],
		...n8nCommunityNodes.configs.recommendedWithoutN8nCloudSupport,
	},
	{ files: ['package.json'], rules: { '@n8n/community-nodes/no-runtime-dependencies': 'off' } },
	{
		files: ['credentials/**/*.ts'],
		plugins: { 'n8n-nodes-base': n8nNodesBase },
		rules: {
			...n8nNodesBase.configs.credentials.rules,
			// Made for credentials of an HTTP API; ours is a key ring.
			'n8n-nodes-base/cred-class-field-display-name-missing-api': 'off',
			// It wants a file name where n8n's own packages have an address.
			'n8n-nodes-base/cred-class-field-documentation-url-miscased': 'off',
		},
	},
	{
		files: ['nodes/**/*.ts'],
		plugins: { 'n8n-nodes-base': n8nNodesBase },
		rules: {
			...n8nNodesBase.configs.nodes.rules,
			// The package runs on self-hosted n8n only: it needs libraries, and reuses n8n's own credential types.
			'@n8n/community-nodes/no-credential-reuse': 'off',
			'@n8n/community-nodes/valid-credential-references': 'off',
			'n8n-nodes-base/node-class-description-credentials-name-unsuffixed': 'off',
			// `@n8n/community-nodes/node-connection-type-literal` asks for the opposite of these two.
			'n8n-nodes-base/node-class-description-inputs-wrong-regular-node': 'off',
			'n8n-nodes-base/node-class-description-outputs-wrong': 'off',
			// Everything thrown passes through `runPerItem`, which makes it a NodeOperationError.
			'@n8n/community-nodes/require-node-api-error': 'off',
			// getNodeParameter infers its type from the assertion, which the rule then takes for needless.
			'@typescript-eslint/no-unnecessary-type-assertion': 'off',
		},
	},
);
