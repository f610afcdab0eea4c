import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { beforeEach, describe, expect, test } from 'vitest';
import { newKey, type PrivateJwk, writeKey } from '../../src/cli/keys.ts';
import { GatewayError, type GatewayErrorOptions } from '../../src/errors.ts';
import { type Behaviour, serveGateway } from './gateway.ts';
import { type Ran, runCli, scratch } from './run.ts';

let agent: PrivateJwk;
let dir: string;
let keys: string[];

beforeEach(async () => {
  dir = scratch();
  agent = await newKey('agent');
  writeKey(join(dir, 'agent.json'), agent);
  writeKey(join(dir, 'issuer.json'), await newKey('issuer'));
  keys = ['--key', join(dir, 'agent.json'), '--issuer-key', join(dir, 'issuer.json')];
});

/** Calls the tool `echo` with these options. */
async function call(options: readonly string[], behaviour: Behaviour = {}): Promise<Ran> {
  return runCli(['call', 'echo', '--gateway', await serveGateway(agent, behaviour), ...keys, ...options]);
}

/** The arguments that the gateway got. */
async function sent(...options: string[]): Promise<unknown> {
  const { code, out, err } = await call(options);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out).arguments;
}

describe('arguments', () => {
  test.each([
    [[], {}],
    [['--arg', 'a=text'], { a: 'text' }],
    [['--arg', 'a=1', 'b=true', '--arg', 'c=null'], { a: 1, b: true, c: null }],
    [['--arg', 'a=[1,{"b":2}]'], { a: [1, { b: 2 }] }],
    [['--arg', 'a='], { a: '' }],
    [['--arg', 'a=b=c'], { a: 'b=c' }],
    [['--arg', 'a={not JSON'], { a: '{not JSON' }],
    [['--arg', 'a=line\nline'], { a: 'line\nline' }],
    [['--arg', 'a:=1', 'b:={}'], { a: '1', b: '{}' }],
    [['--arg', 'a.b=1', '__proto__=2'], JSON.parse('{"a.b":1,"__proto__":2}')],
    [['--arg', 'a=1.0', 'b=1e3', 'c=-0.5'], { a: 1, b: 1000, c: -0.5 }],
    [
      ['--arg', 'a=9007199254740993', 'b=0.12345678901234567891'],
      { a: '9007199254740993', b: '0.12345678901234567891' },
    ],
    [['--args-json', '{"a":1,"b":{"c":[null]}}'], { a: 1, b: { c: [null] } }],
    [['--args-json', '{"a":1,"b":2}', '--arg', 'b=3'], { a: 1, b: 3 }],
  ])('%j', async (options, expected) => {
    expect(await sent(...options)).toEqual(expected);
  });

  test('come from a file', async () => {
    const file = join(dir, 'args.json');
    writeFileSync(file, '{"email": "ann@example.com"}\n');
    expect(await sent('--args-json', `@${file}`)).toEqual({ email: 'ann@example.com' });
  });

  test.each([
    [['--arg', 'text'], '--arg text: expected key=value'],
    [['--arg', '=1'], '--arg =1: expected key=value'],
    [['--args-json', '[1]'], '--args-json: expected a JSON object'],
    [['--args-json', 'null'], '--args-json: expected a JSON object'],
    [['--args-json', '{"a":'], '--args-json: expected a JSON object'],
    [['--args-json', '@/no/such/file'], '--args-json: /no/such/file cannot be read: ENOENT'],
    [['--args-json', '{"a":[9007199254740993]}'], '--args-json: the number at /a/0 would lose digits'],
    [['--arg', 'a={"b":1e999}'], '--arg a: the number at /b would lose digits'],
    [['--args-json', '{"a":1,"a":2}'], 'duplicate key'],
  ])('%j are refused before anything is sent', async (options, message) => {
    const { code, out, err } = await runCli([
      'call',
      'echo',
      '--gateway',
      'http://127.0.0.1:1',
      ...keys,
      ...options,
    ]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(message);
  });
});

describe('a call', () => {
  test('prints the result, and as JSON the whole reply', async () => {
    const text = await call(['--arg', 'a=1']);
    expect(JSON.parse(text.out)).toMatchObject({ kind: 'call', tool: 'echo', arguments: { a: 1 } });
    const json = await call(['--arg', 'a=1', '--output', 'json']);
    expect(JSON.parse(json.out)).toEqual({
      result: expect.objectContaining({ tool: 'echo' }),
      meta: { execution_id: 'exec-1', event_id: 'event-1', revision: 'rev-1', duration_ms: 1 },
      request_id: expect.any(String),
    });
  });

  test('mints its token by the options of token, unless it is given one', async () => {
    const minted = await call(['--context', 'billing', '--tenant', 'acme']);
    const claims = decodeJwt(JSON.parse(minted.out).security_token);
    expect(claims).toMatchObject({ scp: 'billing', tenant_id: 'acme' });
    const given = await call(['--token', 'a.b.c', '--issuer-key', '/no/such/file']);
    expect(JSON.parse(given.out).security_token).toBe('a.b.c');
  });

  test('needs the key of the agent', async () => {
    const { code, err } = await call(['--key', join(dir, 'no.json')]);
    expect(code).toBe(1);
    expect(err).toContain(`no agent key at ${join(dir, 'no.json')}`);
  });

  test.each(['localhost:8089', 'ftp://a.example', ''])('does not take %j for a gateway', async (url) => {
    const { code, err } = await runCli(['call', 'echo', ...keys, `--gateway=${url}`]);
    expect(code).toBe(1);
    expect(err).toBe(`seal-gateway: --gateway ${url}: expected a URL, such as http://127.0.0.1:8089\n`);
  });

  test('of a gateway that is not there says so', async () => {
    for (const output of ['text', 'json']) {
      const { code, out, err } = await runCli([
        'call',
        'echo',
        '--gateway',
        'http://127.0.0.1:1',
        ...keys,
        '-o',
        output,
      ]);
      expect(code).toBe(1);
      expect(out + err).toContain(
        'http://127.0.0.1:1: the gateway could not be reached. Is the gateway running?',
      );
    }
  });
});

describe('a refusal', () => {
  const refused = (options: GatewayErrorOptions = {}): Behaviour => ({
    refusal: new GatewayError('INVALID_ARGUMENTS', 'echo: /a must be string', options),
  });

  test('is one line, and one for each problem', async () => {
    const { code, out, err } = await call(
      [],
      refused({ details: { problems: ['/a must be string', '/b is needed'] } }),
    );
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toBe(
      'seal-gateway: 4000 INVALID_ARGUMENTS: echo: /a must be string\n  /a must be string\n  /b is needed\n',
    );
  });

  test('for one problem is that line', async () => {
    const { err } = await call([], refused({ details: { problems: ['/a must be string'] } }));
    expect(err).toBe('seal-gateway: 4000 INVALID_ARGUMENTS: echo: /a must be string\n');
  });

  test('of an upstream shows what it said', async () => {
    const { err } = await call(
      [],
      refused({ details: { status: 500, excerpt: '{"error":"no such order"}' } }),
    );
    expect(err).toBe(
      'seal-gateway: 4000 INVALID_ARGUMENTS: echo: /a must be string\n  {"error":"no such order"}\n',
    );
  });

  test('is JSON for a program, on standard output', async () => {
    const { code, out, err } = await call(['-o', 'json'], refused({ details: { rule: 'r' } }));
    expect({ code, err }).toEqual({ code: 1, err: '' });
    expect(JSON.parse(out)).toEqual({
      status: 'error',
      error: {
        code: 4000,
        name: 'INVALID_ARGUMENTS',
        message: 'echo: /a must be string',
        http_status: 400,
        request_id: 'call-1',
        details: { rule: 'r', execution_id: 'call-1' },
      },
    });
  });

  test('never shows a key', async () => {
    const { out, err } = await call([], refused());
    expect(out + err).not.toContain(agent.d);
  });
});

test('fields go beside the arguments', async () => {
  const { out } = await call(['--arg', 'a=1', '--field', '$.a', '$.b']);
  expect(JSON.parse(out)).toMatchObject({ arguments: { a: 1 }, fields: ['$.a', '$.b'] });
  expect(JSON.parse((await call(['--arg', 'a=1'])).out)).not.toHaveProperty('fields');
});
