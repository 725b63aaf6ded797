import { constants } from 'node:os';

/** The names of the system's errors, which no message may show. Only real ones: a temporary folder may be called `EHYHWT`. */
export const systemErrorCode = new RegExp(
	`\\b(?:${Object.keys(constants.errno).join('|')}|ENOTFOUND|EAI_AGAIN)\\b`,
);
