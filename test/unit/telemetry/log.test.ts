import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { createLogger } from '../../../src/telemetry/log.ts';

function lines(format: 'json' | 'pretty', secrets: string[] = []) {
  const written: string[] = [];
  const destination = new Writable({ write: (line, _encoding, done) => (written.push(String(line)), done()) });
  const log = createLogger({ level: 'info', format, secrets, destination });
  return { log, text: () => written.join('') };
}

describe('the log', () => {
  test('is JSON, a line at a time', () => {
    const { log, text } = lines('json');
    log.info({ cellId: 'c1' }, 'spawned');
    log.debug('not shown');
    expect(JSON.parse(text())).toMatchObject({ level: 30, msg: 'spawned', cellId: 'c1' });
  });

  test('hides fields that hold secrets by their name', () => {
    const { log, text } = lines('json');
    log.info({ password: 'hunter22', server: { password: 'hunter23', env: { A: 'hunter24' } } }, 'started');
    expect(text()).not.toContain('hunter2');
  });

  test('hides known secrets wherever they turn up, also in an error', () => {
    const { log, text } = lines('json', ['sk-"quoted"-secret']);
    log.error(new Error('the provider refused sk-"quoted"-secret'));
    expect(text()).not.toContain('quoted');
    expect(text()).toContain('[hidden]');
  });

  test('can be read by a person', () => {
    const { log, text } = lines('pretty');
    log.warn('the port is taken');
    expect(text()).toMatch(/WARN.*the port is taken/);
  });
});
