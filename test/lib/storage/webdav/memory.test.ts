import { test } from 'node:test';

import { startApache } from '../../../servers/webdav';
import { assertBoundedMemory } from '../memory';

test('memory stays bounded, however large the object', async () => {
	const server = await startApache();
	try {
		const settings = await server.settings();
		await assertBoundedMemory({ kind: 'webDav', settings }, { object: 400, growth: 150 });
	} finally {
		await server.stop();
	}
});
