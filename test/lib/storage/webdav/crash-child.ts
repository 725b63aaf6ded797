/** Stores an object, and is killed before it is done. Started by `crashBeforeRename`. */
import { Readable } from 'node:stream';

import { webDavStorage, type WebDavSettings } from '../../../../lib/storage/webdav/webdav-storage';

const [settings, key] = JSON.parse(process.argv[2]!) as [WebDavSettings, string];
void webDavStorage(settings).put(key, Readable.from([Buffer.alloc(1_000_000, 'x')]));
