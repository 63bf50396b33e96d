import { expect, test } from 'vitest';
import { largestAnswer } from '../../../src/opencode/bounded-answer.ts';
import { startCellHost } from '../../support/cell-host.ts';
import { answerSpaciously, startStandInServer } from '../../support/stand-in-server.ts';

test.each([
  ['its sessions', 'GET /session'],
  ['the messages of its session', 'GET /session/session/message'],
])('a cell whose server says too much when it is asked for %s fails by name', async (_, large) => {
  await using place = await startCellHost();
  await using server = await startStandInServer((request, response) => {
    if (request === large) return answerSpaciously(response, largestAnswer + 1);
    if (request === 'GET /session') return [];
    return request === 'POST /session' ? { id: 'session' } : {};
  });
  const { cellId } = await place.spawn();
  await place.host.leases.update(cellId, { port: server.port });
  const prompt = { cellId, round: 0, text: 'Do it.', tokenBudget: 50_000 };
  await expect(place.steps.executePrompt(prompt)).rejects.toMatchObject({
    type: 'AgentFailed',
    message: 'the server of the cell answered with more than 64 MiB',
  });
});
