import { impossibleIn } from '../domain/impossible.ts';
import type { ParsedCellRequest } from '../domain/request.ts';
import { findTemplate } from '../templates/load.ts';
import type { AgentTemplate } from '../templates/template.ts';
import { enforcedFields } from '../runtimes/runtime.ts';
import type { CellHost } from './host.ts';
import { modelOf } from './keep-lease.ts';
import { whyNotAllowed } from './limits.ts';
import { goesThroughGateway, routesOf } from './model-door.ts';

/** What of a request this host cannot do. */
export interface RequestFault {
  field: string;
  why: string;
  cause?: unknown;
}

/** What is asked of a host to judge a request. */
export type JudgingHost = Pick<
  CellHost,
  'templates' | 'runtimes' | 'defaultRuntime' | 'opencode' | 'opencodeFile' | 'behindGateway' | 'providerEnvironment'
>;

/** Whether this host can make the cell of a request, as far as that can be told before anything is made; null where it can. */
export async function faultOfRequest(host: JudgingHost, request: ParsedCellRequest): Promise<RequestFault | null> {
  const template = templateOf(host, request);
  if ('field' in template) return template;
  const name = request.runtime ?? host.defaultRuntime;
  const { runtime, probe } = host.runtimes[name];
  if (!probe.usable)
    return { field: 'runtime', why: `${name} is not available on this host: ${probe.why}; ${probe.try}` };
  const resources = request.resources ?? template.resources;
  const wanted = {
    resources,
    'resources.cpus': resources?.cpus,
    'resources.pids': resources?.pids,
    network: request.network,
  };
  for (const field of enforcedFields) {
    const why = runtime.unsupported[field];
    if (wanted[field] !== undefined && why !== undefined)
      return { field, why: `the ${name} runtime cannot enforce it: ${why}` };
  }
  const impossible = impossibleIn({ ...request, resources });
  if (impossible !== null) return impossible;
  const unled = whyNotAllowed(host, request, name);
  if (unled !== null) return { field: 'network', why: unled };
  return goesThroughGateway(host, name) ? await modelFault(host, request) : null;
}

function templateOf({ templates }: JudgingHost, { agentType }: ParsedCellRequest): AgentTemplate | RequestFault {
  try {
    return findTemplate(templates, agentType);
  } catch (cause) {
    return { field: 'agentType', why: messageOf(cause), cause };
  }
}

async function modelFault(host: JudgingHost, request: ParsedCellRequest): Promise<RequestFault | null> {
  try {
    await routesOf(host, modelOf(host, request));
    return null;
  } catch (cause) {
    return { field: 'model', why: messageOf(cause), cause };
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
