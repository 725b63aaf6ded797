import { LifeboatError } from '../../errors';

import { Status, statusOf } from './errors';
import type { SftpSession } from './session';

/** Makes a folder and those above it, only for the user who logs in. @throws LifeboatError `INVALID_KEY` where a file is in the way. */
export async function makeFolder(session: SftpSession, path: string): Promise<void> {
	try {
		await session.makeFolder(path);
	} catch (error) {
		const there = await session.lstat(path);
		// A link is the operator's own choice, and one to a file shows when something is written there.
		if (there?.isDirectory() || there?.isSymbolicLink()) return;
		if (there) {
			throw new LifeboatError('INVALID_KEY', `${path} cannot be a folder: a file has that name`, {
				hint: 'Choose another folder or key',
				cause: error,
			});
		}
		const parent = parentOf(path);
		const mayLackParent = [Status.NO_SUCH_FILE, Status.FAILURE].some((status) => status === statusOf(error));
		if (!mayLackParent || parent === undefined) throw error;
		// Another upload may have made the parent since: then it is there now, and wasn't a moment ago.
		if (!(await session.lstat(parent))?.isDirectory()) await makeFolder(session, parent);
		await session.makeFolder(path).catch(async (again: unknown) => {
			if (!(await session.lstat(path))?.isDirectory()) throw again;
		});
	}
}

function parentOf(path: string): string | undefined {
	const end = path.lastIndexOf('/');
	return end > 0 ? path.slice(0, end) : undefined;
}
