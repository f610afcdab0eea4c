import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { runCli } from './run.ts';

const SCHEMAS = new URL('../../schemas/', import.meta.url);
const KINDS = readdirSync(SCHEMAS).flatMap((file) => /^(.+)\.schema\.json$/.exec(file)?.[1] ?? []);

test('without a kind lists them', async () => {
  expect(KINDS).toContain('GatewayConfig');
  expect((await runCli(['schema'])).out).toBe(`${[...KINDS].sort().join('\n')}\n`);
  expect(JSON.parse((await runCli(['schema', '-o', 'json'])).out)).toEqual([...KINDS].sort());
});

test.each(KINDS)('prints the schema of %s as it is', async (kind) => {
  const text = readFileSync(new URL(`${kind}.schema.json`, SCHEMAS), 'utf8');
  expect(await runCli(['schema', kind])).toEqual({ code: 0, out: text, err: '' });
  expect((await runCli(['schema', kind.toLowerCase()])).out).toBe(text);
});

test.each(['Nothing', '', '../package', '__proto__'])('there is no kind %j', async (kind) => {
  const { code, out, err } = await runCli(['schema', kind]);
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toBe(`seal-gateway: no kind ${kind}; there are ${[...KINDS].sort().join(', ')}\n`);
});
