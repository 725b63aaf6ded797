/** The most bytes that OpenSSH takes in one packet. Other servers take less, and get it in several. */
export const BLOCK = 255 * 1024;
