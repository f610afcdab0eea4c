/** The example as its users run it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';

test('node examples/cluster/run.ts --once: every step comes out as it says', {
  timeout: 120_000,
}, async () => {
  const run = spawn(process.execPath, [new URL('run.ts', import.meta.url).pathname, '--once'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  for (const stream of [run.stdout, run.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
  }
  const [code] = await once(run, 'close');
  expect(code, out).toBe(0);
  expect(out).not.toContain('✗');
  expect(out.match(/✓/g)).toHaveLength(15);
});
