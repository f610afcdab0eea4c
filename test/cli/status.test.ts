import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type OperatorIssuer, verifyOperator } from '../../src/envelope/operator.ts';
import { localKeys } from '../../src/reconcile/keys.ts';
import { NOTHING_YET, type ReconcileStatus } from '../../src/reconcile/status.ts';
import { aState, serveControl } from '../serve/http/control/served.ts';
import { newOperatorKey, OPERATOR_ISSUER, operatorToken } from '../support/operator.ts';
import { runCli } from './run.ts';

const GOOD: ReconcileStatus = {
  ...NOTHING_YET,
  revision: 'rev-1',
  revision_attempted: 'rev-1',
  generation: 1,
  degraded: false,
  error: null,
  last_success_at: new Date().toISOString(),
  manifests: [aState()],
};
const BAD: ReconcileStatus = {
  ...GOOD,
  degraded: true,
  manifests: [aState({ status: 'Stale', reason: 'no such thing' })],
};

/** A URL at which nobody listens any more. */
async function nobody(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

describe('status', () => {
  test('is 0 when all is Ready', async () => {
    const { code, out, err } = await runCli([
      'status',
      '--control',
      await serveControl({ status: () => GOOD }),
    ]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^revision rev-1 applied \d s ago .*\n\nKIND .*\nApiSpec .* crm\.yaml:1:1\n$/);
  });

  test('is 1 when something is not, and says what', async () => {
    const { code, out, err } = await runCli([
      'status',
      '--control',
      await serveControl({ status: () => BAD }),
    ]);
    expect({ code, err }).toEqual({ code: 1, err: '' });
    expect(out).toMatch(/\nApiSpec +crm +Stale +rev-1 +no such thing +crm\.yaml:1:1\n$/);
  });

  test.each([
    [GOOD, 0],
    [BAD, 1],
  ])('is for programs what the gateway says', async (status, code) => {
    const url = await serveControl({ status: () => status });
    const ran = await runCli(['status', '--control', `${url}/`, '--output', 'json']);
    expect({ ...ran, out: JSON.parse(ran.out) }).toMatchObject({ code, out: status, err: '' });
  });

  test('shows its token, from the option or from the environment', async () => {
    const key = newOperatorKey();
    const issuer: OperatorIssuer = {
      issuer: OPERATOR_ISSUER,
      audience: 'seal-gateway',
      keys: localKeys(key.jwks, ['EdDSA']),
      role_claim: 'aegis_role',
      roles: ['aegis:operator'],
    };
    const url = await serveControl({
      status: () => GOOD,
      development: false,
      verifyOperator: (token) => verifyOperator(token, issuer, Date.now()),
    });
    const argv = ['status', '--control', url];
    expect(await runCli(argv)).toMatchObject({
      code: 1,
      err: expect.stringContaining("send an operator's token"),
    });
    expect(await runCli([...argv, '--token', operatorToken(key)])).toMatchObject({ code: 0 });
    process.env.SEAL_GATEWAY_OPERATOR_TOKEN = operatorToken(key);
    onTestFinished(() => {
      delete process.env.SEAL_GATEWAY_OPERATOR_TOKEN;
    });
    expect(await runCli(argv)).toMatchObject({ code: 0 });
    // Nobody reads it over a shoulder.
    expect((await runCli(['status', '--help'])).out).not.toContain(process.env.SEAL_GATEWAY_OPERATOR_TOKEN);
  });
});

describe('a status that cannot be had says why', () => {
  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test('nobody is there', async () => {
    const url = await nobody();
    const { code, out, err } = await runCli(['status', '--control', url]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/^seal-gateway: http:\S+: .*ECONNREFUSED.*\. Is the gateway running\?/);
  });

  test.each(['localhost:8090', 'file:///etc/passwd', ''])('%s is no URL of it', async (url) => {
    expect(await runCli(['status', '--control', url])).toEqual({
      code: 1,
      out: '',
      err: `seal-gateway: --control ${url}: expected a URL, such as http://127.0.0.1:8090\n`,
    });
  });

  test.each([
    [
      'no operators',
      401,
      '{"error":{"message":"this gateway knows no operators"}}',
      'this gateway knows no operators',
    ],
    [
      'the data plane',
      404,
      '{"status":"error","error":{"message":"no route /v1/status"}}',
      'no route /v1/status',
    ],
    ['another program', 200, '{"ok":true}', 'HTTP 200, and no answer of a control listener'],
    ['another program with nothing to say', 200, 'null', 'HTTP 200, and no answer of a control listener'],
    ['a web page', 200, '<html>', 'Is the gateway running?'],
    ['an error without a word', 500, '{}', 'HTTP 500, and no answer of a control listener'],
  ])('%s', async (_, status, body, message) => {
    const url = await serve((__, response) => response.writeHead(status).end(body));
    const { code, out, err } = await runCli(['status', '--control', url]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(`seal-gateway: ${url}: `);
    expect(err).toContain(message);
  });

  test('and follows no redirect, which could take the token elsewhere', async () => {
    let asked = 0;
    const elsewhere = await serve((_, response) => {
      asked += 1;
      response.end('{}');
    });
    const url = await serve((_, response) => response.writeHead(302, { location: elsewhere }).end());
    expect(await runCli(['status', '--control', url, '--token', 'a.b.c'])).toMatchObject({ code: 1 });
    expect(asked).toBe(0);
  });
});

describe('status --watch', () => {
  /** What the process does when the user presses Ctrl-C, without the test runner's own part. */
  const interrupt = (): void => void process.listeners('SIGINT').at(-1)?.('SIGINT');

  test('shows each change once, until it is told to stop', async () => {
    let status = GOOD;
    let asked = 0;
    const url = await serveControl({
      status: () => {
        asked += 1;
        return status;
      },
    });
    const ran = runCli(['status', '--watch', '--control', url, '--output', 'json']);
    const twice = async (): Promise<void> => {
      for (const until = asked + 2; asked < until; ) await sleep(20);
    };
    await twice();
    status = BAD;
    await twice();
    status = GOOD;
    await twice();
    interrupt();
    const { code, out, err } = await ran;
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([GOOD, BAD, GOOD]);
  });

  test('waits for a gateway that goes away, but not for one that was never there', async () => {
    expect(await runCli(['status', '--watch', '--control', await nobody()])).toMatchObject({
      code: 1,
      out: '',
    });
    let there = true;
    let asked = 0;
    const url = await serveControl({
      status: () => {
        asked += 1;
        if (!there) throw new Error('gone');
        return GOOD;
      },
    });
    const ran = runCli(['status', '--watch', '--control', url]);
    while (asked < 1) await sleep(20);
    there = false;
    while (asked < 3) await sleep(20);
    there = true;
    while (asked < 5) await sleep(20);
    interrupt();
    const { code, out } = await ran;
    expect(code).toBe(0);
    expect(out.split('\n\n').map((part) => part.split(' ')[0])).toEqual([
      'revision',
      'KIND',
      `${url}:`,
      'revision',
      'KIND',
      '',
    ]);
  });
});
