const MOST_WARNINGS = 50;

/** What an operator should know of a restore that went well: each once, and not without end. */
export class Warnings {
	readonly texts: string[] = [];

	add(text: string): void {
		const { texts } = this;
		if (texts.length < MOST_WARNINGS && !texts.includes(text)) texts.push(text);
		else if (texts.length === MOST_WARNINGS) texts.push('There were more warnings');
	}

	/** Notices as such (what was skipped, say) are switched off by pg_dump's scripts; warnings come through. */
	addNotice({ code, message }: { code?: string | undefined; message?: string | undefined }): void {
		if (code !== undefined && code !== '00000' && message !== undefined)
			this.add(`The server warns: ${message}`);
	}
}
