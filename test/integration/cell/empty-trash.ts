import { emptyTrash } from '../../../src/cell/trash.ts';
import { createLogger } from '../../../src/telemetry/log.ts';

/** Empties the trash of a state directory, as whatever user this runs as, and prints how much is left. The log goes to standard error. */
const [stateDirectory = ''] = process.argv.slice(2);
const left = await emptyTrash({ stateDirectory, log: createLogger({ level: 'warn', format: 'json' }) });
process.stdout.write(String(left));
