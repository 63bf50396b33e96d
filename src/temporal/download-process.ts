/**
 * Started by download-temporal.ts: the SDK fetches the CLI into a directory by starting a test server with it once.
 * Arguments: the directory and the version, with its `v`.
 */
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { TestWorkflowEnvironment } from '@temporalio/testing';

const [downloadDir = '', version = 'default'] = process.argv.slice(2);

Runtime.install({ logger: new DefaultLogger('ERROR') });
try {
  const environment = await TestWorkflowEnvironment.createLocal({
    server: { executable: { type: 'cached-download', downloadDir, version } },
  });
  await environment.teardown();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message.replaceAll('\n', ' ') : String(error)}\n`);
  process.exitCode = 1;
}
