import type { Connection } from '@temporalio/client';
import pWaitFor from 'p-wait-for';
import { requiredSearchAttributes } from '../domain/search-attributes.ts';
import { UserError } from '../domain/user-error.ts';

/** The numbers of Temporal's `IndexedValueType`. */
const indexedValueType = { Keyword: 2, Int: 3 } as const;

/** How long the server may take until it knows what was registered, milliseconds. */
const registrationLimit = 30_000;

/** The search attributes that a namespace lacks; null where the server does not say which it has. */
export async function missingSearchAttributes(
  connection: Connection,
  namespace: string,
): Promise<typeof requiredSearchAttributes | null> {
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return requiredSearchAttributes.filter(({ name }) => !Object.hasOwn(customAttributes ?? {}, name));
  } catch {
    return null;
  }
}

/** The command that registers what is missing. */
export function registerCommand(missing: typeof requiredSearchAttributes, namespace: string): string {
  const flags = missing.map(({ name, type }) => `--name ${name} --type ${type}`).join(' ');
  return `temporal operator search-attribute create --namespace ${namespace} ${flags}`;
}

/**
 * Registers what the namespace lacks, where the worker may. A workflow that sets an unknown attribute cannot go on at all,
 * so a worker does not start without them.
 *
 * @throws UserError `TemporalRefused` with the command for an operator who may.
 */
export async function registerSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const missing = await missingSearchAttributes(connection, namespace);
  if (missing === null || missing.length === 0) return;
  const searchAttributes = Object.fromEntries(missing.map(({ name, type }) => [name, indexedValueType[type]]));
  try {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
    const known = async () => (await missingSearchAttributes(connection, namespace))?.length === 0;
    await pWaitFor(known, { interval: 250, timeout: registrationLimit });
  } catch (cause) {
    // Another worker that starts at the same time may have been first.
    if ((await missingSearchAttributes(connection, namespace))?.length === 0) return;
    const names = missing.map(({ name }) => name).join(', ');
    throw new UserError(
      'TemporalRefused',
      `the namespace ${namespace} lacks the search attributes ${names}, and this worker may not register them`,
      {
        try: registerCommand(missing, namespace),
        cause,
      },
    );
  }
}
