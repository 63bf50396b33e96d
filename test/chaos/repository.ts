import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirty, stateOf } from '../support/dirty-repository.ts';
import { repositoryAt, type TemporaryRepository, temporaryRepository } from '../support/temporary-repository.ts';

/** A repository whose owner is in the middle of something, with a branch `base` for cells. */
export interface CallersRepository extends Pick<TemporaryRepository, 'path' | 'git' | 'write'> {
  /** Where `base` was. */
  commit: string;
  /** Every file of it but those that are for cells to change; looked at again after its owner did something. */
  before: readonly string[];
  /** Its refs, `<object> <name>`. */
  refs: readonly string[];
  /** Takes what is there now as what is to be there: its owner did something. */
  lookAgain(): Promise<void>;
}

/** One that all are copied from: making it takes a dozen calls of git. */
export async function repositoryTemplate(): Promise<TemporaryRepository> {
  const repository = await temporaryRepository();
  await makeDirty(repository);
  await repository.git('branch', 'base', repository.commit);
  return repository;
}

/** A copy of the template, below a directory that the worker may work on. */
export async function callersRepository(
  { template, directory }: { template: TemporaryRepository; directory: string },
  name: string,
): Promise<CallersRepository> {
  const path = join(directory, name);
  await cp(template.path, path, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  const place = repositoryAt(path);
  // What the copy changed about its files is not what a cell changes.
  await place.git('status').catch(() => undefined);
  const repository: CallersRepository = {
    ...place,
    commit: template.commit,
    before: [],
    refs: [],
    async lookAgain() {
      repository.before = await stateOf(place);
      repository.refs = await refsOf(place);
    },
  };
  await repository.lookAgain();
  return repository;
}

/** `<object> <name>`, sorted by name. */
export async function refsOf({ git }: Pick<TemporaryRepository, 'git'>): Promise<string[]> {
  const refs = await git('for-each-ref', '--format=%(objectname) %(refname)');
  return refs.split('\n').filter((line) => line !== '');
}
