import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { format, inspect } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { reveal, Secret } from '../../src/credentials/secret.ts';

const TEXT = 'hunter2-swordfish';
const secret = new Secret(TEXT);

function sink(): { stream: Writable; text(): string } {
  const chunks: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk));
      done();
    },
  });
  return { stream, text: () => chunks.join('') };
}

describe('Secret', () => {
  it('is opened by reveal alone', () => {
    expect(reveal(secret)).toBe(TEXT);
    expect(() => reveal({} as Secret)).toThrow(TypeError);
    expect(() => reveal(Object.create(secret))).toThrow(TypeError);
  });

  const printed: [string, () => string][] = [
    ['String()', () => String(secret)],
    ['a template literal', () => `${secret}`],
    ['concatenation', () => 'a '.concat(secret as unknown as string)],
    ['toString', () => secret.toString()],
    ['JSON', () => JSON.stringify({ secret, list: [secret] })],
    [
      'JSON of an error’s details',
      () => JSON.stringify({ ...new Error('x', { cause: secret }), cause: secret }),
    ],
    ['inspect', () => inspect(secret)],
    ['inspect of a holder', () => inspect({ deep: { secret } }, { depth: 9 })],
    ['format %s', () => format('%s', secret)],
    ['format %o', () => format('%o', secret)],
    ['format %O', () => format('%O', secret)],
    ['format %j', () => format('%j', secret)],
    ['join', () => [secret, secret].join()],
    [
      'console',
      () => {
        const out = sink();
        new Console({ stdout: out.stream }).log('secret', secret, { secret });
        return out.text();
      },
    ],
    [
      'pino',
      () => {
        const out = sink();
        pino({}, out.stream).info({ secret, nested: { secret } }, 'a secret');
        return out.text();
      },
    ],
  ];
  it.each(printed)('prints as [secret]: %s', (_, print) => {
    const text = print();
    expect(text).toContain('[secret]');
    expect(text).not.toContain(TEXT);
  });

  const silent: [string, () => unknown][] = [
    ['own keys', () => Reflect.ownKeys(secret)],
    ['for in', () => Object.keys({ ...secret })],
    ['numbers', () => Number(secret)],
    ['%d', () => format('%d', secret)],
    ['raw inspect', () => inspect(secret, { customInspect: false, showHidden: true, depth: 9 })],
    [
      'raw inspect of its prototype',
      () => inspect(Secret, { customInspect: false, showHidden: true, depth: 9 }),
    ],
    ['structuredClone', () => inspect(structuredClone({ secret }), { showHidden: true, depth: 9 })],
    ['v8.serialize', () => inspect(deserialize(serialize({ secret })), { showHidden: true, depth: 9 })],
    [
      'a message to a worker',
      () => {
        const { port1, port2 } = new MessageChannel();
        port1.postMessage({ secret });
        const got = receiveMessageOnPort(port2);
        port1.close();
        return inspect(got, { showHidden: true, depth: 9 });
      },
    ],
  ];
  it.each(silent)('shows nothing: %s', (_, read) => {
    expect(String(read())).not.toContain(TEXT);
  });

  it('serialises to bytes without its text', () => {
    expect(serialize({ secret }).includes(TEXT)).toBe(false);
  });

  it('cannot be changed or given another face', () => {
    expect(Object.isFrozen(secret)).toBe(true);
    expect(() => Object.assign(secret, { toString: () => 'other' })).toThrow(TypeError);
  });
});
