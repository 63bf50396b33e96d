import { describe, expect, test } from 'vitest';
import type { IsolationName } from '../../../src/domain/request.ts';
import type { Probe } from '../../../src/runtimes/runtime.ts';
import { chooseRuntime, unprotectedIn } from '../../../src/worker/choose-runtime.ts';

const usable: Probe = { usable: true, notes: [] };
const lacks = (why: string): Probe => ({ usable: false, why, try: 'mend it' });

function host(probes: Partial<Record<IsolationName, Probe>>): Parameters<typeof chooseRuntime>[1] {
  const of = (name: IsolationName) => ({ probe: probes[name] ?? lacks(`no ${name}`) });
  return { process: of('process'), bubblewrap: of('bubblewrap'), docker: of('docker') };
}

describe('the runtime of a request that names none', () => {
  test('is the strongest that can start cells just now', () => {
    const every = host({ process: usable, bubblewrap: usable, docker: usable });
    expect(chooseRuntime(null, every).name).toBe('docker');
    const withoutImage = host({ process: usable, bubblewrap: usable, docker: lacks('there is no image') });
    expect(chooseRuntime(null, withoutImage)).toEqual({
      name: 'bubblewrap',
      why: 'it is the strongest that is usable here (docker: there is no image)',
    });
  });

  test('is process only where nothing else is usable, with the reasons', () => {
    const { name, why } = chooseRuntime(null, host({ process: usable }));
    expect(name).toBe('process');
    expect(why).toContain('docker: no docker; bubblewrap: no bubblewrap');
    expect(unprotectedIn(name)).toContain('an agent can read and change whatever that user can');
  });

  test('is what the settings say, be it a weaker one, and never a weaker one than they say', () => {
    const every = host({ process: usable, bubblewrap: usable, docker: usable });
    expect(chooseRuntime('process', every)).toEqual({ name: 'process', why: 'CELLS_RUNTIME is process' });
    expect(() => chooseRuntime('docker', host({ process: usable, bubblewrap: usable }))).toThrow(
      'CELLS_RUNTIME=docker is not available on this host: no docker',
    );
  });

  test('has a warning only where it confines nothing', () => {
    expect(unprotectedIn('bubblewrap')).toBeNull();
    expect(unprotectedIn('docker')).toBeNull();
  });
});
