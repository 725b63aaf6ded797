import { LifeboatError } from '../errors';
import type { Artifact } from './artifact';

/** Characters. */
const LONGEST_TAG = 100;

/**
 * The artifact with tags in its manifest, by which retention may keep it. Each tag once, in the order given.
 *
 * @throws LifeboatError `INVALID_OPTION` for a tag that is empty, longer than 100 characters, or holds a comma (which stands for "and"
 * in policies) or a control character.
 */
export function withTags(artifact: Artifact, tags: readonly string[]): Artifact {
	if (tags.length === 0) return artifact;
	const unique = [...new Set(tags.map((tag) => tag.trim()))];
	for (const tag of unique) {
		if (tag !== '' && tag.length <= LONGEST_TAG && !/[,\p{Cc}]/u.test(tag)) continue;
		throw new LifeboatError('INVALID_OPTION', `${JSON.stringify(tag.slice(0, LONGEST_TAG))} can't be a tag`, {
			hint: `A tag is a word or two without a comma, at most ${LONGEST_TAG} characters. Add several tags one by one`,
		});
	}
	const { draft, manifest } = artifact;
	return {
		draft: { ...draft, tags: unique },
		...(manifest && { manifest: { ...manifest, tags: unique } }),
		async open(signal) {
			const opened = await artifact.open(signal);
			return {
				stream: opened.stream,
				finish: async () => ({ ...(await opened.finish()), tags: unique }),
			};
		},
	};
}
