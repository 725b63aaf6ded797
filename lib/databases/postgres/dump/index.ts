export { preparePostgresDump } from './prepare';
export { namePattern, usualZstdLevel, type PostgresDumpOptions } from './options';
