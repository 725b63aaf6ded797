import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseManifestText, serializeManifest } from '../../../lib/artifact/manifest';
import { withTags } from '../../../lib/artifact/tags';
import { artifactOf, readWhole } from './samples';

test('tags stand in the draft and in the manifest, each once', async () => {
	const artifact = withTags(artifactOf(Buffer.from('x')), ['release', ' v4 ', 'release']);
	assert.deepEqual(artifact.draft.tags, ['release', 'v4']);
	const { manifest } = await readWhole(artifact);
	assert.deepEqual(manifest.tags, ['release', 'v4']);
	assert.deepEqual(parseManifestText(serializeManifest(manifest), 'manifest').tags, ['release', 'v4']);
	const known = { ...artifactOf(Buffer.from('x')), manifest };
	assert.deepEqual(withTags(known, ['other']).manifest?.tags, ['other']);
});

test('without tags nothing changes', () => {
	const artifact = artifactOf(Buffer.from('x'));
	assert.equal(withTags(artifact, []), artifact);
});

test('what a policy could not name is refused', () => {
	for (const bad of ['a,b', '', ' ', 'x'.repeat(101), 'a\nb']) {
		assert.throws(() => withTags(artifactOf(Buffer.from('x')), [bad]), { code: 'INVALID_OPTION' }, bad);
	}
});
