import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { execa } from 'execa';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CellRequest, startCell } from '../../../src/client.ts';
import { branchOf, workflowTaskQueue } from '../../../src/domain/names.ts';
import { parseCellRequest } from '../../../src/domain/request.ts';
import { badRequests } from '../../support/bad-requests.ts';
import { type Failure, failureOf, nothingLeft } from '../../support/endings.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { temporaryRepository } from '../../support/temporary-repository.ts';

describe('a bad request', () => {
  test('is refused by the client before anything is sent', async () => {
    // Nobody listens there: whoever tried to send would be told so.
    const connection = Connection.lazy({ address: '127.0.0.1:1', connectTimeout: '1s' });
    const client = new Client({ connection });
    const refusals = await Promise.all(
      badRequests.map(({ input }) =>
        startCell(client, input as CellRequest).then(
          () => null,
          (error: unknown) => error,
        ),
      ),
    );
    await connection.close();
    badRequests.forEach(({ what, field }, index) => {
      expect(refusals[index], what).toMatchObject({
        code: 'InvalidCellRequest',
        message: expect.stringMatching(beginsWith(field)) as string,
      });
    });
  });

  test('fails the workflow of a caller that has no client of ours, and nothing is made for it', async () => {
    await using fleet = await startFleet();
    const before = await everythingOf(fleet);
    for (const input of [null, 5, 'x'.repeat(10_000), true]) {
      const failure = await failRaw(fleet, input);
      expect(failure).toMatchObject({ type: 'InvalidCellRequest', nonRetryable: true, report: { field: '' } });
      expect(failure.message).toMatch(/^the request must be an object, not .{1,100}$/);
    }
    for (const some of chunks(badRequests, 20)) {
      const failures = await Promise.all(some.map(({ input }) => failRaw(fleet, input)));
      some.forEach(({ what, field, input }, index) => {
        expect(failures[index], what).toMatchObject({
          type: 'InvalidCellRequest',
          nonRetryable: true,
          message: expect.stringMatching(beginsWith(field)) as string,
          report: { field, metrics: { totalMs: 0 }, tokens: { total: 0 }, taskId: textOf(input, 'taskId') },
        });
      });
    }
    expect(await everythingOf(fleet)).toEqual(before);
    expect(fleet.model.ledger()).toEqual([]);
  });
});

describe('an id or a branch that is accepted', () => {
  const parts = [
    'a',
    'Z0',
    '.',
    '_',
    '-',
    '/',
    '@',
    '{',
    '}',
    '~',
    'é',
    '漢',
    '\\',
    ' ',
    '..',
    '.lock',
    '@{',
    '\u200B',
  ];
  const names = fc.oneof(fc.string({ unit: fc.constantFrom(...parts), minLength: 1, maxLength: 6 }), fc.string());
  const accepted = (field: 'agentId' | 'branch') =>
    names.filter((name) => parseCellRequest({ taskId: 't', agentId: 'a', prompt: 'x', [field]: name }).ok);

  test('is one that git accepts as part of a ref', async () => {
    await expectRefs(fc.tuple(accepted('agentId'), accepted('agentId')), ([taskId, agentId]) =>
      branchOf({ taskId, agentId }),
    );
  });

  test('is a branch that git accepts', async () => {
    await expectRefs(accepted('branch'), (branch) => branch);
  });
});

async function expectRefs<Value>(values: fc.Arbitrary<Value>, branchFor: (value: Value) => string): Promise<void> {
  const check = async (value: Value) => {
    const { exitCode } = await execa('git', ['check-ref-format', `refs/heads/${branchFor(value)}`], { reject: false });
    expect(exitCode).toBe(0);
  };
  await fc.assert(fc.asyncProperty(values, check), { numRuns: 80 });
}

describe('a repository', () => {
  test('that is dirty or bare is worked on, and stays as it is, bit for bit', async () => {
    await using bare = await temporaryDirectory();
    await using fleet = await startFleet({
      env: { CELLS_REPOSITORIES: `${bare.path},/tmp` },
      files: { 'README.md': 'one\n', 'src/a.js': 'a\n', '.gitignore': 'ignored.txt\n' },
    });
    const { repository } = fleet;
    await execa('git', ['clone', '--quiet', '--bare', repository.path, join(bare.path, 'bare.git')]);
    await repository.write({
      'README.md': 'changed\n',
      'ignored.txt': 'i\n',
      'new.txt': 'n\n',
      'src/a.js': 'staged\n',
    });
    await repository.git('add', 'src/a.js');
    await repository.write({ 'src/a.js': 'staged and changed again\n' });
    await writeFile(join(repository.path, '.git', 'hooks', 'post-commit'), '#!/bin/sh\ntouch hooked\n', {
      mode: 0o755,
    });
    const before = await stateOf(repository.path);

    const cells = [
      await fleet.start('edit-file', { testCommand: 'test "$(cat README.md)" = one && test ! -e new.txt' }),
      await fleet.start('edit-other', { repository: join(bare.path, 'bare.git') }),
    ];
    const [dirty, ofBare] = await Promise.all(cells.map((cell) => cell.result()));

    expect(dirty).toMatchObject({ status: 'committed', filesModified: [{ path: 'answer.txt', change: 'added' }] });
    expect(await stateOf(repository.path)).toEqual(before);
    expect(ofBare).toMatchObject({ status: 'committed', branch: 'cells/task/edit-other' });
    const { stdout } = await execa('git', [
      '-C',
      join(bare.path, 'bare.git'),
      'show',
      'cells/task/edit-other:other.txt',
    ]);
    expect(stdout).toBe('right');
    await nothingLeft(fleet);
  });

  test('that is missing, empty, broken or not allowed is refused, and so is a branch that is not there', async () => {
    await using directory = await temporaryDirectory();
    await using outside = await temporaryRepository();
    const at = (name: string) => join(directory.path, name);
    await execa('git', ['init', '--quiet', '--initial-branch=main', at('empty')]);
    await execa('git', ['clone', '--quiet', outside.path, at('good')]);
    await execa('git', ['clone', '--quiet', outside.path, at('broken')]);
    await writeFile(join(at('broken'), '.git', 'HEAD'), 'nonsense\n');
    await writeFile(at('file'), 'not a repository\n');
    await execa('mkdir', ['-p', at('plain'), at('good/sub')]);
    await using fleet = await startFleet({ env: { CELLS_REPOSITORY: '', CELLS_REPOSITORIES: directory.path } });

    const cases: [what: string, request: Partial<CellRequest>, message: RegExp][] = [
      ['missing', { repository: at('missing') }, /missing does not exist on this host/],
      ['a file', { repository: at('file') }, /is a file and not a directory/],
      ['no repository', { repository: at('plain') }, /is not the top directory of a git repository/],
      ['a directory inside', { repository: at('good/sub') }, /is not the top directory of a git repository/],
      ['empty', { repository: at('empty') }, /has no commits/],
      ['broken', { repository: at('broken') }, /is not the top directory of a git repository/],
      [
        'not allowed',
        { repository: outside.path },
        /is not a repository that this worker may work on.*CELLS_REPOSITORIES/,
      ],
      [
        'out of what is allowed',
        { repository: `${directory.path}/../${outside.path.split('/').at(-1)}` },
        /may work on/,
      ],
      ['a URL', { repository: 'https://example.invalid/a.git' }, /may work on/],
      ['none', {}, /names no repository.*CELLS_REPOSITORY/],
      [
        'a branch that is not there',
        { repository: at('good'), branch: 'nope' },
        /has no branch, tag or commit "nope".*main/,
      ],
      [
        'a commit that is not there',
        { repository: at('good'), branch: 'a'.repeat(40) },
        /has no branch, tag or commit/,
      ],
    ];
    const failures = await Promise.all(
      cases.map(async ([what, request]) =>
        failureOf(fleet.client, await fleet.start('edit-file', { agentId: what.replaceAll(' ', '-'), ...request })),
      ),
    );
    cases.forEach(([what, , message], index) => {
      expect(failures[index], what).toMatchObject({
        type: 'RepositoryError',
        nonRetryable: true,
        message: expect.stringMatching(message) as string,
        report: { taskId: 'task', host: fleet.hostId, baseCommit: null, metrics: { executionMs: 0 } },
      });
      expect(failures[index]?.report, what).not.toHaveProperty('revertedRef');
    });
    await nothingLeft(fleet, at('good'));
    expect(await readdir(join(fleet.stateDirectory, 'artifacts')).catch(() => [])).toEqual([]);
    expect(fleet.model.ledger()).toEqual([]);
  });
});

let starts = 0;

async function failRaw({ client }: Fleet, input: unknown): Promise<Failure> {
  const workflowId = `raw-${(starts += 1)}`;
  await client.workflow.start('agentCell', { workflowId, taskQueue: workflowTaskQueue, args: [input] });
  return await failureOf(client, { workflowId });
}

const beginsWith = (field: string) => new RegExp(`^${field.replaceAll(/[.]/g, '\\.')}(:| is )`);

function textOf(input: unknown, field: string): string {
  const value: unknown = Object.entries(input ?? {}).find(([name]) => name === field)?.[1];
  return typeof value === 'string' ? value.slice(0, 63) : '';
}

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

/** All that a worker and a repository hold, by name. */
async function everythingOf({ stateDirectory, repository }: Fleet): Promise<string[]> {
  const names = await Promise.all(
    [stateDirectory, repository.path].map((directory) => readdir(directory, { recursive: true })),
  );
  return names.flat().toSorted();
}

/** What git and its user see of a repository, except the refs of cells. */
async function stateOf(path: string) {
  const git = async (...rest: string[]) => (await execa('git', ['-C', path, ...rest])).stdout;
  const files = (await readdir(path, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('/.git'))
    .map((entry) => join(entry.parentPath, entry.name));
  return {
    index: await readFile(join(path, '.git', 'index'), 'base64'),
    head: await readFile(join(path, '.git', 'HEAD'), 'utf8'),
    config: await readFile(join(path, '.git', 'config'), 'utf8'),
    branches: (await git('for-each-ref', 'refs/heads', 'refs/tags'))
      .split('\n')
      .filter((line) => !line.includes('/cells/')),
    stash: await git('stash', 'list'),
    status: await git('--no-optional-locks', 'status', '--porcelain', '--ignored'),
    files: await Promise.all(files.map(async (file) => [file, await readFile(file, 'base64')])),
  };
}
