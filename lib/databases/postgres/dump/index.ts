export { preparePostgresDump } from './prepare';
export type { PostgresDumpOptions } from './options';
