import { test } from 'node:test';

import { startRadosgw } from '../../../servers/radosgw';
import { assertBoundedMemory } from '../memory';

test('memory stays bounded, however large the object', async () => {
	const server = await startRadosgw();
	try {
		const settings = await server.bucket();
		await assertBoundedMemory({ kind: 's3', settings }, { object: 600, growth: 250 });
	} finally {
		await server.stop();
	}
});
