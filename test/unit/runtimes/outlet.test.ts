import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { allowSocketName } from '../../../src/runtimes/in-cell.ts';
import { openOutlet } from '../../../src/runtimes/outlet.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

test('a way to a target that cannot be connected to ends what comes there, and the other ways stay open', async () => {
  await using directory = await temporaryDirectory();
  await using server = createServer((socket) => socket.end('hello'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  await using _outlet = await openOutlet(directory.path, ['localhost:99999', `127.0.0.1:${port}`], null);
  const ask = (index: number) => text(connect(join(directory.path, allowSocketName(index))));
  expect(await ask(0)).toBe('');
  expect(await ask(1)).toBe('hello');
});
