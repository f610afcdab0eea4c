import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Gateway, StartGateway } from '../../src/cli/serve.ts';
import type { Config } from '../../src/config-shape.ts';
import { ListenError } from '../../src/serve/http/listener.ts';
import { StoreOpenError } from '../../src/store/store.ts';
import { runCli, scratch } from './run.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
let dir: string;
let config: string;

beforeEach(() => {
  dir = scratch();
  config = join(dir, 'gateway.yaml');
  writeFileSync(config, 'apiVersion: seal.gateway/v1\nkind: GatewayConfig\nspec: {log: {level: silent}}\n');
  const before = SIGNALS.map((signal) => process.listeners(signal));
  onTestFinished(() => {
    for (const [i, signal] of SIGNALS.entries()) {
      for (const listener of process.listeners(signal)) {
        if (!before[i]?.includes(listener)) process.off(signal, listener);
      }
    }
  });
});

/** A gateway that tells what happens to it. */
function observed() {
  const seen: { config: Config | null; closed: number } = { config: null, closed: 0 };
  const started = Promise.withResolvers<void>();
  const start: StartGateway = async (given): Promise<Gateway> => {
    seen.config = given;
    // The command goes on in the turns after this one.
    setImmediate(started.resolve);
    return {
      addresses: { data: 'http://127.0.0.1:41234' },
      close: async () => {
        seen.closed += 1;
      },
    };
  };
  return { seen, start, started: started.promise };
}

/** What the process does when this signal comes, without the test runner's own part. */
function signal(name: (typeof SIGNALS)[number]): void {
  process.listeners(name).at(-1)?.(name);
}

describe('serve', () => {
  test.each(SIGNALS)('runs until %s, then closes and ends well', async (name) => {
    const { seen, start, started } = observed();
    const ready = join(dir, 'ready.json');
    const ran = runCli(['serve', '--config', config, '--ready-file', ready], start);
    await Promise.race([started, ran]);
    expect(JSON.parse(readFileSync(ready, 'utf8'))).toEqual({ data: 'http://127.0.0.1:41234' });
    expect(existsSync(`${ready}.new`)).toBe(false);
    expect(seen.closed).toBe(0);
    signal(name);
    expect(await ran).toEqual({
      code: 0,
      out: '',
      err: 'seal-gateway: serving {"data":"http://127.0.0.1:41234"}; Ctrl-C stops it\n',
    });
    expect(seen.closed).toBe(1);
  });

  test.each([
    [[], 'auto'],
    [['--watch', 'poll'], 'poll'],
  ])('with %j watches: %s', async (options, watch) => {
    const { seen, start, started } = observed();
    const ran = runCli(['serve', '--config', config, ...options], start);
    await Promise.race([started, ran]);
    signal('SIGTERM');
    await ran;
    expect(seen.config?.reconcile).toMatchObject({ watch, resync_seconds: 30 });
  });

  test('closes the gateway when nobody can be told that it is ready', async () => {
    const { seen, start } = observed();
    const ready = join(dir, 'no', 'ready.json');
    const { code, err } = await runCli(['serve', '--config', config, '--ready-file', ready], start);
    expect(code).toBe(1);
    expect(err).toContain(`--ready-file ${ready} cannot be written: ENOENT`);
    expect(seen.closed).toBe(1);
  });
});

describe('a start that fails', () => {
  const failing = (error: Error) => runCli(['serve', '--config', config], () => Promise.reject(error));

  test.each([
    ['the store', new StoreOpenError('corrupt', 'data/gateway.db is damaged: restore a backup')],
    [
      'the address',
      new ListenError('cannot listen on 127.0.0.1:8089 (network.bind_addr): EADDRINUSE: end the other'),
    ],
    [
      'a file',
      Object.assign(new Error("ENOENT: no such file or directory, open 'cert.pem'"), { syscall: 'open' }),
    ],
  ])('for %s says what to mend, without a stack', async (_, error) => {
    expect(await failing(error)).toEqual({ code: 1, out: '', err: `seal-gateway: ${error.message}\n` });
  });

  test('for a fault of ours is internal, with its stack', async () => {
    const { code, err } = await failing(new TypeError('x is not a function'));
    expect(code).toBe(70);
    expect(err).toMatch(/^seal-gateway: internal error: TypeError: x is not a function\n {4}at /);
  });
});
