import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { cellPaths, warmPaths } from '../../../src/cell/paths.ts';
import { allowSocketName, serverSocketName } from '../../../src/runtimes/in-cell.ts';
import { socketOf } from '../../../src/supervisor/protocol.ts';
import { requireSocketRoom } from '../../../src/worker/socket-room.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const id = '0123456789abcdef';

/** Every socket that confined cells have on the host. */
function socketsOfCells(stateDirectory: string): string[] {
  const [cell, warm] = [cellPaths(stateDirectory, id), warmPaths(stateDirectory, id)];
  return [
    ...[cell, warm].flatMap(({ inlet, modelSocket }) => [modelSocket, join(inlet, serverSocketName)]),
    ...[dirname(cell.modelSocket), cell.testOutlet].map((outlet) => join(outlet, allowSocketName(9_999))),
  ];
}

test.for([
  ['the supervisor', (state: string) => [socketOf(state)], 91],
  ['confined cells', socketsOfCells, 69],
] as const)(
  'takes a state directory below which sockets of %s can be made, and none that is a byte longer',
  async ([owner, socketsIn, most]) => {
    await using directory = await temporaryDirectory();
    // Characters of two bytes: it is bytes that count.
    const room = most - Buffer.byteLength(directory.path) - 1;
    const fitting = join(directory.path, 'é'.repeat(Math.floor(room / 2)) + 'x'.repeat(room % 2));
    requireSocketRoom(fitting, owner);
    const sockets = socketsIn(fitting);
    expect(Math.max(...sockets.map((path) => Buffer.byteLength(path)))).toBe(107);
    for (const path of sockets) {
      await mkdir(dirname(path), { recursive: true });
      const server = createServer().listen(path);
      await once(server, 'listening');
      server.close();
      await once(server, 'close');
    }
    expect(() => requireSocketRoom(`${fitting}x`, owner)).toThrow(/CELLS_STATE_DIR=.* is too long/);
  },
);
