const { src, dest, parallel } = require('gulp');

/** What tsc doesn't emit: the icons of nodes and credentials, each node's codex file, and the script of the recovery kit. */
const icons = () => src('icons/*.svg', { encoding: false }).pipe(dest('dist/icons'));
const codex = () => src('nodes/**/*.node.json', { encoding: false }).pipe(dest('dist/nodes'));

const recovery = () => src('recovery/*.mjs', { encoding: false }).pipe(dest('dist/recovery'));

exports['build:icons'] = icons;
exports['build:codex'] = codex;
exports['build:recovery'] = recovery;
exports.build = parallel(icons, codex, recovery);
