import type { Config } from '../../config.ts';
import { isolations } from '../../domain/request.ts';
import { findRoots } from '../../runtimes/found-roots.ts';
import { type ProbedRuntime, probeRuntimes } from '../../runtimes/index.ts';
import { chooseRuntime, unprotectedIn } from '../../worker/choose-runtime.ts';
import { requireSocketRoom } from '../../worker/socket-room.ts';
import { check, ok, problem, warning, type Check, type Finding } from './check.ts';

/** Which runtimes this host has, how to make the others usable, and which one a request gets that names none. */
export async function runtimeChecks(config: Config): Promise<Check[]> {
  const probed = await probeRuntimes({ owner: 'doctor', ...(await findRoots(config.cgroup)), docker: config.docker });
  return await Promise.all([
    ...isolations.map((name) => check(`runtime ${name}`, () => judge(probed[name].probe, config.runtime === name))),
    check('default runtime', () => judgeDefault(config, probed)),
  ]);
}

function judge(probe: ProbedRuntime['probe'], wanted: boolean): Finding {
  if (probe.usable) return ok(['usable', ...probe.notes].join('; '));
  return (wanted ? problem : warning)(
    `not usable: ${probe.why}${wanted ? ', and CELLS_RUNTIME names it' : ''}`,
    probe.try,
  );
}

function judgeDefault({ runtime, stateDirectory }: Config, probed: Parameters<typeof chooseRuntime>[1]): Finding {
  const { name, why } = chooseRuntime(runtime, probed);
  const danger = unprotectedIn(name);
  const detail = `${name}, since ${why}`;
  requireSocketRoom(stateDirectory, danger === null ? 'confined cells' : 'the supervisor');
  if (danger === null) return ok(detail);
  return warning(
    `${detail}; it confines nothing: ${danger}`,
    'make a stronger one usable as said above, or run this host in a virtual machine that holds nothing else; docs/runtimes.md',
  );
}
