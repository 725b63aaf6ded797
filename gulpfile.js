const { src, dest, parallel } = require('gulp');

/** What tsc doesn't emit: the icons of nodes and credentials, and each node's codex file. */
const icons = () => src('icons/*.svg', { encoding: false }).pipe(dest('dist/icons'));
const codex = () => src('nodes/**/*.node.json', { encoding: false }).pipe(dest('dist/nodes'));

exports['build:icons'] = icons;
exports['build:codex'] = codex;
exports.build = parallel(icons, codex);
