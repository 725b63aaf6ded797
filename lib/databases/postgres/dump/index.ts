export { preparePostgresDump } from './prepare';
export { usualZstdLevel, type PostgresDumpOptions } from './options';
