import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readFirstFile } from '../../src/execute/tar.ts';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'seal-tar-'));
  writeFileSync(join(dir, 'key'), 'grün\n');
  writeFileSync(join(dir, 'empty'), '');
  writeFileSync(join(dir, 'binary'), Buffer.from([0xff, 0xfe]));
  mkdirSync(join(dir, 'folder'));
  symlinkSync('key', join(dir, 'link'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const tarOf = (name: string, format = 'ustar'): Buffer =>
  spawnSync('tar', ['-C', dir, `--format=${format}`, '-cf', '-', name]).stdout;

test.each(['ustar', 'gnu', 'pax', 'v7'])('a file in the format %s', (format) => {
  expect(readFirstFile(tarOf('key', format), 100)).toBe('grün\n');
  expect(readFirstFile(tarOf('empty', format), 100)).toBe('');
});

test('neither a directory, nor a link, nor a file that is too long, nor one that is no text', () => {
  for (const name of ['folder', 'link', 'binary']) expect(readFirstFile(tarOf(name), 100), name).toBeNull();
  expect(readFirstFile(tarOf('key'), 5)).toBeNull();
  expect(readFirstFile(tarOf('key'), 6)).toBe('grün\n');
});

test('nothing that is cut off or made up ends in an error, and none gives more than it may', () => {
  const whole = tarOf('key', 'pax');
  fc.assert(
    fc.property(fc.nat(whole.length), fc.nat(255), fc.nat(whole.length - 1), (length, byte, at) => {
      const bytes = Buffer.from(whole.subarray(0, length));
      if (at < bytes.length) bytes[at] = byte;
      const read = readFirstFile(bytes, 100);
      expect(read === null || Buffer.byteLength(read) <= 100).toBe(true);
    }),
    { numRuns: 300 },
  );
});
