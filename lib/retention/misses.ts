/** Why a rule doesn't keep a backup. One object for all backups: there are 100,000 of them. */
export interface Miss {
	/** Tells it from all others of this policy. */
	bit: number;
	why: 'superseded' | 'full' | 'old' | 'other';
	text: string;
}

/** Makes the misses of one policy. */
export class Misses {
	private readonly all: Miss[] = [];

	make(why: Miss['why'], text: string): Miss {
		const miss = { bit: 2 ** this.all.length, why, text };
		this.all.push(miss);
		return miss;
	}

	/** Why no rule keeps a backup, by the sum of the bits of its misses. */
	inWords(missed: number): string {
		const met = this.all.filter(({ bit }) => Math.floor(missed / bit) % 2 === 1);
		const of = (why: Miss['why']) => [
			...new Set(met.filter((miss) => miss.why === why).map(({ text }) => text)),
		];
		const and = new Intl.ListFormat('en-GB');
		const [superseded, full, old] = [of('superseded'), of('full'), of('old')];
		return [
			...(superseded.length > 0 ? [`a newer backup stands for its ${and.format(superseded)}`] : []),
			...(full.length > 0 ? [`older than the ${and.format(full)}`] : []),
			...(old.length > 0 ? [`not within ${and.format(old)} of the newest backup`] : []),
			...of('other'),
		].join('; ');
	}
}
