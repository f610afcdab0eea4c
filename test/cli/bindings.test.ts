/** What needs no database; with one they are walked in examples/credentials. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCli, scratch } from './run.ts';

async function ran(...argv: string[]) {
  const config = join(scratch(), 'gateway.yaml');
  writeFileSync(
    config,
    'apiVersion: seal.gateway/v1\nkind: GatewayConfig\nspec: {database: {url: "sqlite://x.db"}}\n',
  );
  return runCli(['bindings', ...argv, '--config', config]);
}
const ADD = ['add', '--owner', 'olga', '--provider', 'github'];

test.each([
  [['list'], /bindings are kept in Postgres/],
  [[...ADD, '--secret', 'a/b', '--agent', 'x'], /bindings are kept in Postgres/],
  [[...ADD, '--secret', 'a/b'], /grant it to somebody: --agent or --context/],
  [[...ADD, '--secret', '../b', '--agent', 'x'], /--secret is no path of plain segments/],
  [[...ADD, '--secret', 'a', '--agent', 'x', '--expires', 'soon'], /--expires: expected a time/],
])('%j', async (argv, message) => {
  const { code, err } = await ran(...argv);
  expect(code).toBe(1);
  expect(err).toMatch(message);
});
