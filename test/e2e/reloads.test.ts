/**
 * A gateway whose manifests change all the time: whatever a reconcile leaves behind, a thousand of them must not be a
 * thousand times of it. The reconciler runs with its real store in a process of its own, which tells its heap after each
 * collection of garbage.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';

/** `make ci` takes the ten thousand. */
const RELOADS = process.env.SEAL_TEST_FULL === '1' ? 10_000 : 400;
/** Heap is looked at so often; the first quarter warms up caches and compiled code. */
const SAMPLES = 8;

const program = new URL('./reloading.ts', import.meta.url).pathname;

interface Sample {
  readonly reloads: number;
  readonly heap_bytes: number;
  readonly external_bytes: number;
  readonly threads: number;
  readonly watches: number;
}

test(`${RELOADS} reloads leave nothing behind`, { timeout: 60_000 + RELOADS * 100 }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'seal-reloads-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const args = ['--expose-gc', program, dir, String(RELOADS), String(SAMPLES)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1 << 20 });
  const samples = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Sample);
  expect(samples).toHaveLength(SAMPLES);
  expect(samples.at(-1)!.reloads).toBe(RELOADS);
  const settled = samples.slice(SAMPLES / 4);
  const [first, last] = [settled[0]!, settled.at(-1)!];
  // Each version of a manifest that is left behind is some twenty kilobytes; caches fill and empty again.
  expect(last.heap_bytes - first.heap_bytes, stdout).toBeLessThan(3 * 2 ** 20);
  expect(last.external_bytes - first.external_bytes, stdout).toBeLessThan(2 ** 20);
  expect(settled.map((sample) => sample.threads)).toEqual(settled.map(() => first.threads));
  expect(settled.map((sample) => sample.watches)).toEqual(settled.map(() => first.watches));
});
