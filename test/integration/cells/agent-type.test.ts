import { expect, test } from 'vitest';
import { clientOf, openCell } from '../../../src/cell/open-cell.ts';
import { readMessages } from '../../../src/opencode/session.ts';
import { findTemplate } from '../../../src/templates/load.ts';
import { startCellHost } from '../../support/cell-host.ts';

test('an instruction to an agent at work comes with what the type of the agent says, as the prompt does', async () => {
  await using place = await startCellHost();
  const { cellId } = await place.spawn({ agentType: 'reviewer' });
  await place.steps.executePrompt({ cellId, round: 0, text: 'Do it. [script: edit-file]', tokenBudget: 50_000 });
  await place.steps.promptAgent({ cellId, updateId: 'one', text: 'And this.' });
  const cell = await openCell(place.host, cellId);
  const { signal } = new AbortController();
  const messages = await readMessages(await clientOf(place.host, cell), cell.lease.sessionId ?? '', signal);
  const asked = messages.flatMap(({ info }) => (info.role === 'user' ? [info.system] : []));
  const { prompt } = findTemplate(place.host.templates, 'reviewer');
  expect(prompt).toMatch(/REVIEW\.md/);
  expect(asked).toEqual([prompt, prompt]);
});
