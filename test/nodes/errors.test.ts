import assert from 'node:assert/strict';
import { test } from 'node:test';

import { presentable } from '../../nodes/shared/errors';

test('passwords that a library echoes in an address are not shown, whatever they hold', () => {
	for (const password of ['secret', 'sec@ret', 'a:secret@b', '@secret@']) {
		const shown = presentable(`connect postgres://backup:${password}@db.example.com:5432/shop failed`);
		assert.equal(shown, 'connect postgres://backup:***@db.example.com:5432/shop failed');
	}
	const plain = 'GET https://s3.example.com:9000/bucket/a@b.sql failed, see https://example.com/a@b';
	assert.equal(presentable(plain), plain);
});
