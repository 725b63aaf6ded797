import { ListMultipartUploadsCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';

import { recordPrefix, recordPrefixOf } from '../../../../lib/storage/s3/session';

/** What lies in a bucket besides objects: an entry for each upload with its record, and for each claim. */
export async function unfinishedIn(client: S3Client, Bucket: string): Promise<string[]> {
	const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
	const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
	const temporary = Contents.map(({ Key }) => Key!).filter((key) => key.includes('.lifeboat-'));
	const uploads = Uploads.map(({ Key }) => recordPrefix(Key!));
	return [...new Set([...uploads, ...temporary.map((key) => recordPrefixOf(key) ?? key)])];
}
