import { Mutex } from 'async-mutex';

/** Runs what concerns one thing one after the other, in the order of the calls; a thing that nobody is busy with takes no memory. */
export function createLocks(): <Result>(name: string, work: () => Promise<Result>) => Promise<Result> {
  const locks = new Map<string, { mutex: Mutex; users: number }>();
  return async (name, work) => {
    const lock = locks.get(name) ?? { mutex: new Mutex(), users: 0 };
    locks.set(name, lock);
    lock.users += 1;
    try {
      return await lock.mutex.runExclusive(work);
    } finally {
      lock.users -= 1;
      if (lock.users === 0) locks.delete(name);
    }
  };
}
