import { access } from 'node:fs/promises';
import { type Page, chromium } from 'playwright-core';
import { temporaryDirectory } from './temporary-directory.ts';

/** Debian's, for npm brings no browser. */
const executablePath = '/usr/bin/chromium';

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A page of a browser without a window, with a profile of its own; both go when its scope ends. */
export interface BrowserPage extends AsyncDisposable {
  page: Page;
}

/** @throws when there is no browser, naming the package that has it. */
export async function openBrowser(): Promise<BrowserPage> {
  await access(executablePath).catch((cause: unknown) => {
    throw new Error(`there is no ${executablePath}: install it (Debian: apt-get install chromium)`, { cause });
  });
  await using stack = new AsyncDisposableStack();
  const profile = stack.use(await temporaryDirectory());
  const context = await chromium.launchPersistentContext(profile.path, {
    executablePath,
    headless: true,
    args: flags,
    viewport: { width: 1280, height: 800 },
    locale: 'en-GB',
    timezoneId: 'UTC',
  });
  stack.defer(() => context.close());
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(60_000);
  const owned = stack.move();
  return { page, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
