import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RepositoryError } from '../../../src/git/errors.ts';
import { openRepository, resolveBase } from '../../../src/git/repository.ts';
import { certificate, sendOn, serveRepository, startGitServer } from '../../support/git-server.ts';
import { runningProcesses } from '../../support/processes.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { temporaryRepository } from '../../support/temporary-repository.ts';

const token = 'tok3n-of-the-bot';

beforeEach(() => void vi.stubEnv('GIT_SSL_CAINFO', certificate));
afterEach(() => vi.unstubAllEnvs());

/** A repository behind a password, unless it is null, and what could be seen of the machine's processes each time that it was asked for something. */
async function guarded(credentials: string | null) {
  await using stack = new AsyncDisposableStack();
  const repository = stack.use(await temporaryRepository());
  const directory = stack.use(await temporaryDirectory());
  const seen: string[] = [];
  const look = async () => void seen.push(...(await runningProcesses()).map(({ command }) => command));
  const serve = serveRepository(credentials, repository.path, look);
  const move = sendOn((url) => url.replace('/old/', '/new/'));
  const server = stack.use(
    await startGitServer((request, response) =>
      (request.url?.startsWith('/old/') === true ? move : serve)(request, response),
    ),
  );
  const owned = stack.move();
  return {
    repository,
    server,
    seen,
    open(user: string, host = server.host, name = 'repository') {
      const url = `https://${user}@${host}/${name}`;
      return openRepository({ repository: url, allowed: [url], mirrorsDirectory: directory.path });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe('the credentials in the URL of a repository', () => {
  test.for([
    ['a user and a password', `bot:${token}`, `bot:${token}`],
    ['a token alone', token, `${token}:`],
    ['what a shell would take for its own', `bot:$(${token})'"`, `bot:$(${token})'"`],
  ] as const)('are asked for, and are no word of any process: %s', async ([, user, credentials]) => {
    await using it = await guarded(credentials);
    const { gitDirectory } = await it.open(user);
    expect(await resolveBase(gitDirectory, 'main')).toBe(it.repository.commit);
    expect(it.server.asked).toContain(`Basic ${btoa(credentials)}`);
    const words = [token, btoa(credentials)];
    expect(it.seen.filter((command) => words.some((word) => command.includes(word)))).toEqual([]);
    // It was looked while git was at it, and at what git starts.
    expect(it.seen).toContainEqual(expect.stringMatching(/remote-https .*127\.0\.0\.1/));
  });

  test('are given once more where the repository has moved on the same server', async () => {
    await using it = await guarded(`bot:${token}`);
    const { gitDirectory } = await it.open(`bot:${token}`, it.server.host, 'old');
    expect(await resolveBase(gitDirectory, 'main')).toBe(it.repository.commit);
    expect(it.seen.filter((command) => command.includes(token))).toEqual([]);
  });

  test.for([
    ['asks for some itself', `bot:${token}`],
    ['serves everybody', null],
  ] as const)('are not given to another server that git is sent to by theirs, and that %s', async ([, credentials]) => {
    await using it = await guarded(credentials);
    await using first = await startGitServer(sendOn((url) => `https://${it.server.host}${url}`));
    const opened = await it.open(`bot:${token}`, first.host).catch((error: unknown) => error);
    if (credentials !== null) expect(opened).toBeInstanceOf(RepositoryError);
    else expect(opened).toEqual({ gitDirectory: expect.any(String) as string });
    expect(first.asked).toContain(`Basic ${btoa(`bot:${token}`)}`);
    expect(it.server.asked.length).toBeGreaterThan(0);
    // Where git has none, it may send as much: no name and no password.
    const nobody = `Basic ${btoa(':')}`;
    expect(it.server.asked.filter((authorization) => ![undefined, nobody].includes(authorization))).toEqual([]);
  });

  test('that are wrong are an error that does not repeat them', async () => {
    await using it = await guarded('bot:another');
    const opening = it.open(`bot:${token}`);
    await expect(opening).rejects.toThrow(RepositoryError);
    await expect(opening).rejects.toThrow(`https://${it.server.host}/repository could not be fetched`);
    const said: unknown = await opening.catch((error: unknown) => error);
    expect(JSON.stringify([said, said instanceof Error ? [said.message, said.stack, said.cause] : null])).not.toContain(
      token,
    );
  });
});
