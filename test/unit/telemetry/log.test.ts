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

describe('what is logged with a line', () => {
  test('may be an error of the platform, at any depth: the line is written, with what the error says', () => {
    const { log, text } = lines('json');
    const error = new DOMException('This operation was aborted', 'AbortError');
    log.warn({ error, activity: { error }, signal: AbortSignal.abort(error) }, 'the step was cut short');
    expect(JSON.parse(text())).toMatchObject({
      msg: 'the step was cut short',
      error: { type: 'AbortError', message: 'This operation was aborted' },
      activity: { error: { type: 'AbortError' } },
    });
  });

  test('keeps the causes of an error, and the errors of an aggregate', () => {
    const { log, text } = lines('json');
    const error = new AggregateError([new RangeError('one'), 'two'], 'both', { cause: new TypeError('why') });
    log.error({ error }, 'failed');
    expect(JSON.parse(text())).toMatchObject({
      error: {
        type: 'AggregateError',
        message: 'both',
        stack: expect.stringContaining('log.test.ts'),
        cause: { type: 'TypeError', message: 'why' },
        errors: [{ type: 'RangeError', message: 'one' }, 'two'],
      },
    });
  });

  test('is what JSON would make of it, else, and may be circular or hold what JSON cannot', () => {
    const { log, text } = lines('json');
    const circular: Record<string, unknown> = { at: new Date(0), big: 10n, url: new URL('http://localhost/') };
    circular['self'] = circular;
    log.info({ circular, list: [1, { deep: true }], nothing: null }, 'odd');
    expect(JSON.parse(text())).toMatchObject({
      circular: { at: '1970-01-01T00:00:00.000Z', big: '10', url: 'http://localhost/' },
      list: [1, { deep: true }],
      nothing: null,
    });
  });
});
