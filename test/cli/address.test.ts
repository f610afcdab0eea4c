/** Which gateway a command asks: its flag, the environment, gateway.yaml, the default. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { addressOf } from '../../src/cli/address.ts';
import { newKey, type PrivateJwk, writeKey } from '../../src/cli/keys.ts';
import { serveGateway } from './gateway.ts';
import { runCli, scratch } from './run.ts';

const at = (given?: string, config?: string) => addressOf('data', { given, config });

let file: string;
const configure = (spec: string): void =>
  writeFileSync(file, `apiVersion: seal.gateway/v1\nkind: GatewayConfig\nspec: ${spec}\n`);

beforeEach(() => {
  file = join(scratch(), 'gateway.yaml');
  for (const name of ['SEAL_GATEWAY_URL', 'SEAL_GATEWAY_CONTROL_URL', 'SEAL_GATEWAY_BIND'])
    vi.stubEnv(name, undefined);
  vi.stubEnv('SEAL_GATEWAY_CONFIG_PATH', file);
  configure('{network: {bind_addr: "127.0.0.1:1234", control_bind_addr: "[::]:1235"}}');
});
afterEach(() => void vi.unstubAllEnvs());

describe('the address', () => {
  test('is that of the flag, then of the environment, then of gateway.yaml, then the default', () => {
    vi.stubEnv('SEAL_GATEWAY_URL', 'http://b.example');
    expect(at('http://a.example')).toEqual({ url: 'http://a.example', from: '--gateway' });
    expect(at()).toEqual({ url: 'http://b.example', from: 'SEAL_GATEWAY_URL' });
    // Who names a file means the gateway of that file.
    expect(at(undefined, file)).toEqual({
      url: 'http://127.0.0.1:1234',
      from: `network.bind_addr of ${file}`,
    });
    vi.stubEnv('SEAL_GATEWAY_URL', undefined);
    expect(at()).toEqual(at(undefined, file));
    expect(addressOf('control', { given: undefined, config: undefined })).toEqual({
      url: 'http://[::1]:1235',
      from: `network.control_bind_addr of ${file}`,
    });
    vi.stubEnv('SEAL_GATEWAY_BIND', '127.0.0.1:4321');
    expect(at()).toEqual({ url: 'http://127.0.0.1:4321', from: 'SEAL_GATEWAY_BIND' });
    vi.stubEnv('SEAL_GATEWAY_BIND', undefined);
    configure('{}');
    expect(at()).toEqual({ url: 'http://127.0.0.1:8089', from: 'the default of network.bind_addr' });
  });

  test.each([
    ['0.0.0.0:80', 'http://127.0.0.1:80'],
    ['gateway.internal:8089', 'http://gateway.internal:8089'],
    ['[2001:db8::1]:8089', 'http://[2001:db8::1]:8089'],
  ])('%s is asked at %s', (bind_addr, url) => {
    configure(`{network: {bind_addr: "${bind_addr}"}}`);
    expect(at().url).toBe(url);
  });

  test('is https where the listener has a certificate', () => {
    configure('{tls: {cert_file: a.pem, key_file: b.pem}}');
    expect(at().url).toBe('https://127.0.0.1:8089');
  });

  test('needs none of the secrets of the file', () => {
    configure('{network: {bind_addr: "127.0.0.1:1234"}, database: {url: "env:NOT_SET_HERE"}}');
    expect(at().url).toBe('http://127.0.0.1:1234');
  });

  test('is asked for where any free port is bound', () => {
    configure('{network: {bind_addr: "127.0.0.1:0"}}');
    expect(() => at()).toThrow(
      `network.bind_addr of ${file} says 127.0.0.1:0, which is any free port: say which it is (--gateway <url>)`,
    );
  });

  test('is no URL', () => {
    vi.stubEnv('SEAL_GATEWAY_URL', 'localhost:8089');
    expect(() => at()).toThrow(/^SEAL_GATEWAY_URL localhost:8089: expected a URL/);
    configure('{network: {bind_addr: 8089}}');
    expect(() => at(undefined, file)).toThrow(/network\.bind_addr/);
  });
});

describe('call, tools, explore and status', () => {
  let agent: PrivateJwk;
  let keys: string[];
  beforeEach(async () => {
    const dir = scratch();
    agent = await newKey('agent');
    writeKey(join(dir, 'agent.json'), agent);
    writeKey(join(dir, 'issuer.json'), await newKey('issuer'));
    keys = ['--key', join(dir, 'agent.json'), '--issuer-key', join(dir, 'issuer.json')];
  });

  test('ask the gateway of the gateway.yaml that is in force', async () => {
    const { host } = new URL(await serveGateway(agent));
    configure(`{network: {bind_addr: "${host}"}}`);
    const explore = ['--api-spec', 'a', '--operation', 'b', '--field', '$'];
    for (const command of [['call', 'echo'], ['tools'], ['explore', ...explore]])
      expect(await runCli([...command, ...keys]), command[0]).toMatchObject({ code: 0, err: '' });
  });

  test('say which address it was and where it is from, where nobody answers', async () => {
    configure('{network: {bind_addr: "127.0.0.1:1", control_bind_addr: "127.0.0.1:1"}}');
    expect((await runCli(['call', 'echo', ...keys])).err).toBe(
      `seal-gateway: http://127.0.0.1:1: the gateway could not be reached. Is the gateway running? The address is from network.bind_addr of ${file}; --gateway <url> names another.\n`,
    );
    expect((await runCli(['status'])).err).toMatch(
      `Is the gateway running? The address is from network.control_bind_addr of ${file}; --control <url> names another.`,
    );
  });
});
