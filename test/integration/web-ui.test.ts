import { fileURLToPath } from 'node:url';
import waitFor from 'p-wait-for';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { workflowPage } from '../../src/cli/local-temporal.ts';
import { type CellHandle, cellState } from '../../src/client.ts';
import { type BrowserPage, openBrowser } from '../support/browser.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';

const uiAddress = inject('temporalUiAddress');

/** The picture of the README. Made anew by `UPDATE_IMAGES=1 npm run test:integration -- web-ui`. */
const picture = fileURLToPath(new URL('../../docs/images/web-ui.png', import.meta.url));

// A server that was given has its Web UI somewhere else, or none.
describe.skipIf(uiAddress === null)('Temporal’s Web UI, on a cell whose tests failed once', () => {
  let fleet: Fleet;
  let browser: BrowserPage;
  let cell: CellHandle;

  beforeAll(async () => {
    browser = await openBrowser();
    fleet = await startFleet({ env: { CELLS_HOST_ID: 'build-host-1' } });
    cell = await fleet.start('repairs-slowly', {
      taskId: 'fix-login',
      agentId: 'worker-1',
      prompt: 'Make the failing tests of the login pass\n[script: repairs-slowly]',
      testCommand: 'grep -q right answer.txt',
      labels: { team: 'blue' },
    });
    const mends = async () => {
      const { step, tokens } = await cellState(fleet.client, cell.workflowId);
      return step === 'repair' && tokens.total > 4000;
    };
    await waitFor(mends, { interval: 300, timeout: 90_000 });
  });

  afterAll(async () => {
    await browser?.[Symbol.asyncDispose]();
    await fleet?.[Symbol.asyncDispose]();
  });

  /** A tab of the workflow’s page. */
  async function open(tab: string): Promise<Page> {
    const { namespace } = fleet.client.options;
    await browser.page.goto(`${workflowPage(uiAddress ?? '', { namespace, ...cell })}/${tab}`);
    return browser.page;
  }

  /** The Web UI renders Markdown in frames of their own. */
  const markdown = (page: Page, text: string) => page.frameLocator(`iframe[src*="${text}"]`);

  test('shows what the cell is for and the table of where it stands', async () => {
    const page = await open('user-metadata');
    await expect(markdown(page, 'Make').locator('main').innerText()).resolves.toBe(
      'fix-login/worker-1: Make the failing tests of the login pass',
    );
    const table = markdown(page, 'Lifecycle').locator('table');
    const rows = await table.locator('tbody tr').evaluateAll((found) => found.map((row) => row.textContent.trim()));
    const state = Object.fromEntries(rows.map((row) => row.split(/\s*\n\s*/)));
    expect(state).toMatchObject({
      Lifecycle: 'processing',
      Step: 'repair',
      Host: 'build-host-1',
      Runtime: 'process',
      Port: expect.stringMatching(/^9\d{3}$/),
      Branch: 'cells/fix-login/worker-1',
      Tokens: expect.stringMatching(/^[1-9]\d{3} of 50000$/),
      Tests: 'failed, 1 run',
    });
    if (process.env['UPDATE_IMAGES']) await takePicture(page);
  });

  test('names each step in the timeline by what it does', async () => {
    const page = await open('history');
    const timeline = page.locator('svg', { hasText: 'claimHost' });
    await timeline.first().waitFor();
    for (const summary of [
      'queue: wait for a host with room',
      'spawn: worker on main',
      'execute: the prompt',
      'test: grep -q right answer.txt',
      'repair: round 1',
    ]) {
      await expect(timeline.getByText(summary).first().isVisible()).resolves.toBe(true);
    }
  });

  test('finds the cell by its search attributes', async () => {
    const page = await open('search-attributes');
    const shown = page.locator('.cm-content', { hasText: 'indexedFields' });
    expect(JSON.parse(await shown.innerText())).toMatchObject({
      indexedFields: {
        CellLifecycle: 'processing',
        CellStep: 'repair',
        CellAgentId: 'worker-1',
        CellTaskId: 'fix-login',
        CellAgentType: 'worker',
        CellHost: 'build-host-1',
      },
    });
  });
});

/** High enough for every step, and without the bars at the left and at the top, which show nothing of the cell. */
async function takePicture(page: Page): Promise<void> {
  await page.setViewportSize({ width: 1280, height: 890 });
  await page.screenshot({ path: picture, clip: { x: 64, y: 49, width: 1216, height: 841 } });
}
