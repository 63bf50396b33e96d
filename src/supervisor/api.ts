import { Hono } from 'hono';
import { stream } from 'hono/streaming';
import * as v from 'valibot';
import type { Gateway } from '../gateway/gateway.ts';
import type { GatewayState } from '../gateway/model-gateway.ts';
import type { IsolationName } from '../domain/request.ts';
import type { CellRuntime } from '../runtimes/runtime.ts';
import {
  type SupervisorInfo,
  type WireError,
  apiVersion,
  budgetSchema,
  callHeader,
  cancelSchema,
  cellSchema,
  commandSchema,
  destroySchema,
  grantSchema,
  handleSchema,
  portSchema,
  processSchema,
  stopSchema,
} from './protocol.ts';

/** What the routes act on. */
export interface SupervisorParts {
  runtimes: Readonly<Record<IsolationName, CellRuntime>>;
  gateway: Gateway;
  /** Closes the door of the cell that the runtime knows by this mark, its id or that of the server that it adopted. */
  closeDoor: (mark: string) => Promise<void>;
  info: () => Promise<SupervisorInfo>;
  /** Called when a worker comes, which may want all to end when it goes and is the last; the answer is called when it goes. */
  attached: (lastEndsAll: boolean) => () => void;
  /** Ends the supervisor, and with it every cell. */
  stop: () => void;
}

/** The API of the supervisor: the runtime interface over HTTP, and a connection by which it knows that a worker is there. */
export function createApi({ runtimes, gateway, closeDoor, info, attached, stop }: SupervisorParts): Hono {
  const api = new Hono().basePath(`/v${apiVersion}`);
  const calls = new Map<string, AbortController>();

  /** A call that its client may cancel: by name, and then it answers when all is ended; or by going away. */
  const cancellable = async <Answer>(
    request: Request,
    work: (signal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer> => {
    const id = request.headers.get(callHeader) ?? '';
    const cancelled = new AbortController();
    if (id !== '') calls.set(id, cancelled);
    try {
      return await work(AbortSignal.any([request.signal, cancelled.signal]));
    } finally {
      calls.delete(id);
    }
  };

  api.get('/supervisor', async (context) => context.json(await info()));
  api.post('/process', async (context) => {
    const { runtime, ...spec } = await parse(processSchema, context.req);
    return context.json(await cancellable(context.req.raw, (signal) => runtimes[runtime].start(spec, signal)));
  });
  api.post('/command', async (context) => {
    const { runtime, ...command } = await parse(commandSchema, context.req);
    return context.json(await cancellable(context.req.raw, (signal) => runtimes[runtime].exec(command, signal)));
  });
  api.post('/cancel', async (context) => {
    const { call } = await parse(cancelSchema, context.req);
    calls.get(call)?.abort();
    return context.json({});
  });
  api.post('/inspect', async (context) => {
    const handle = await parse(handleSchema, context.req);
    return context.json(await runtimes[handle.runtime].inspect(handle));
  });
  api.post('/port', async (context) => {
    const { runtime, cellId, port } = await parse(portSchema, context.req);
    await runtimes[runtime].holdPort(cellId, port);
    return context.json({});
  });
  api.post('/relay', async (context) => {
    const { runtime, cellId, port } = await parse(portSchema, context.req);
    await runtimes[runtime].relayPort(cellId, port);
    return context.json({});
  });
  api.post('/destroy', async (context) => {
    const { runtime, cellId } = await parse(destroySchema, context.req);
    await closeDoor(cellId);
    return context.json({ ended: await runtimes[runtime].destroy(cellId) });
  });
  api.post('/gateway/open', async (context) => context.json(await gateway.open(await parse(grantSchema, context.req))));
  api.post('/gateway/extend', async (context) => {
    const { cellId, tokenBudget } = await parse(budgetSchema, context.req);
    return context.json(gateway.extend(cellId, tokenBudget));
  });
  api.post('/gateway/close', async (context) => {
    await gateway.close((await parse(cellSchema, context.req)).cellId);
    return context.json({});
  });
  api.post('/gateway/account', async (context) => {
    const { cellId } = await parse(cellSchema, context.req);
    return context.json(gateway.accounts().find((account) => account.cellId === cellId) ?? null);
  });
  api.post('/gateway/state', (context) =>
    context.json<GatewayState>({ accounts: gateway.accounts(), models: gateway.figures() }),
  );
  api.get('/cells', async (context) => context.json((await info()).cells));
  api.get('/attach', (context) =>
    stream(context, async (body) => {
      const gone = attached(context.req.query('ends') === 'all');
      const { promise, resolve } = Promise.withResolvers<void>();
      body.onAbort(resolve);
      await body.write('attached\n');
      await promise;
      gone();
    }),
  );
  api.post('/stop', async (context) => {
    const { force } = await parse(stopSchema, context.req);
    const { cells, workers } = await info();
    if (!force && cells.length > 0) {
      return context.json<WireError>(
        { name: 'SupervisorBusy', message: `${cells.length} cells live under this supervisor and would end with it` },
        409,
      );
    }
    if (!force && workers > 0)
      return context.json<WireError>(
        { name: 'SupervisorBusy', message: `${workers} workers use this supervisor` },
        409,
      );
    stop();
    return context.json({});
  });
  api.notFound((context) =>
    context.json<WireError>(
      { name: 'NotFound', message: `this supervisor speaks version ${apiVersion}; there is no ${context.req.path}` },
      404,
    ),
  );
  api.onError((error, context) => context.json<WireError>({ name: error.name, message: error.message }, 500));
  return api;
}

async function parse<Schema extends v.GenericSchema>(
  schema: Schema,
  request: { json(): Promise<unknown> },
): Promise<v.InferOutput<Schema>> {
  return v.parse(schema, await request.json());
}
