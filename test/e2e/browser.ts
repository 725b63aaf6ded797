import { accessSync, constants } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import { chromium, type Page } from 'playwright-core';

const screenshots = join(__dirname, '../../output/screenshots');

/** n8n's editor in a headless Chromium that reaches nothing but loopback. */
export interface Editor {
	readonly page: Page;
	/** Errors that the page's own scripts did not catch. */
	readonly pageErrors: string[];
	/** Keeps a picture of the page under output/screenshots. */
	screenshot(name: string): Promise<void>;
	close(): Promise<void>;
}

/** Starts Chromium (Debian: chromium). */
export async function openBrowser(): Promise<Editor> {
	await mkdir(screenshots, { recursive: true });
	const profile = await mkdtemp(join(tmpdir(), 'lifeboat-chromium-'));
	const context = await chromium.launchPersistentContext(profile, {
		executablePath: browserProgram(),
		headless: true,
		viewport: { width: 1600, height: 900 },
		args: [
			...['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run'],
			...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
			'--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
			'--disable-features=Translate,OptimizationHints,MediaRouter',
		],
	});
	const page = context.pages()[0] ?? (await context.newPage());
	page.setDefaultTimeout(20_000);
	const pageErrors: string[] = [];
	page.on('pageerror', (error) => pageErrors.push(error.message));
	return {
		...{ page, pageErrors },
		async screenshot(name) {
			await page.screenshot({ path: join(screenshots, `${name}.png`) });
		},
		async close() {
			await context.close();
			await rm(profile, { recursive: true, force: true });
		},
	};
}

function browserProgram(): string {
	const folders = (process.env.PATH ?? '').split(delimiter);
	for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
		for (const folder of folders) {
			try {
				accessSync(join(folder, name), constants.X_OK);
				return join(folder, name);
			} catch {
				// Not in this folder.
			}
		}
	}
	throw new Error('There is no Chromium here. Debian: apt-get install chromium');
}
