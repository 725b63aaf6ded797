const light = {
	paper: '#ffffff',
	edge: '#d5dce6',
	text: '#17375e',
	faint: '#5b6b80',
	none: '#e9edf3',
	kept: '#2f6fb2',
	deleted: '#e2571f',
	pin: '#ffffff',
	broken: '#b3261e',
};

const dark: typeof light = {
	paper: '#141c28',
	edge: '#34435a',
	text: '#dbe7f5',
	faint: '#9fb0c6',
	none: '#243146',
	kept: '#6cace6',
	deleted: '#ff8a57',
	pin: '#141c28',
	broken: '#ff9d94',
};

const rules = (colors: typeof light): string =>
	[
		`.paper{fill:${colors.paper};stroke:${colors.edge}}`,
		`text{fill:${colors.text}}`,
		`.faint{fill:${colors.faint}}`,
		`.none{fill:${colors.none}}`,
		`.kept{fill:${colors.kept}}`,
		// Hollow, so that kept and deleted differ without colours, too.
		`.deleted{fill:none;stroke:${colors.deleted};stroke-width:1.2}`,
		`.part{fill:${colors.deleted}}`,
		`.pin{fill:${colors.pin}}`,
		`.broken{fill:${colors.broken};stroke:${colors.paper};stroke-width:1}`,
		`.warning{fill:${colors.broken}}`,
		`.today{fill:none;stroke:${colors.text};stroke-width:1.4}`,
	].join('');

/** It brings its own paper, since nobody knows on what it is shown; dark where the reader's device says so. */
export const style =
	`<style>text{font:12px system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}.title{font-size:15px;font-weight:600}` +
	`.job{font-size:13px;font-weight:600}.small{font-size:10px}.end{text-anchor:end}${rules(light)}` +
	`@media (prefers-color-scheme:dark){${rules(dark)}}</style>`;
