// Applies retention to a folder and kills itself before the deletion of the file with the given number.
import { localStorage } from '../../../lib/storage/local/local-storage';
import { retain } from './stored-backups';

const [folder, policy, killAt] = process.argv.slice(2) as [string, string, string];
const storage = localStorage({ folder });
const remove = storage.delete.bind(storage);
let files = 0;
storage.delete = async (key, signal) => {
	if (files === Number(killAt)) process.kill(process.pid, 'SIGKILL');
	files += 1;
	await remove(key, signal);
};
void retain(storage, policy);
