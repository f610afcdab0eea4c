import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readEnrollments } from '../../src/invoke/enrollments.ts';
import { runCli, scratch } from './run.ts';

const enroll = (file: string, ...more: string[]) =>
  runCli(['enroll', '--file', file, '--workload', 'ci-runner', '--context', 'billing-*', 'reader', ...more]);

test('shows the token once, and keeps its hash', async () => {
  const file = join(scratch(), 'enrollments.json');
  const { code, out } = await enroll(file, '--tenant', 'acme');
  expect(code).toBe(0);
  const [token = ''] = out.split('\n');
  expect(token).toMatch(/^seal-enroll-[\w-]{43}$/);
  const text = readFileSync(file, 'utf8');
  expect(text).not.toContain(token);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readEnrollments(text)).toEqual([
    {
      workload_id: 'ci-runner',
      token_sha256: createHash('sha256').update(token).digest('hex'),
      security_contexts: ['billing-*', 'reader'],
      tenant: 'acme',
      expires_at: expect.any(Number),
    },
  ]);
});

test('adds to what is there, and drops what has expired', async () => {
  const file = join(scratch(), 'enrollments.json');
  const { out } = await enroll(file, '--output', 'json');
  const list = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify([...list, { ...list[0], expires_at: '2026-01-01T00:00:00Z' }]));
  await enroll(file);
  expect(readEnrollments(readFileSync(file, 'utf8'))).toHaveLength(2);
  expect(JSON.parse(out)).toMatchObject({ workload_id: 'ci-runner', enrollment_token: expect.any(String) });
});

test('a file that is something else stays as it is', async () => {
  const file = join(scratch(), 'enrollments.json');
  for (const text of ['{}', 'x', '[{"workload_id": "a"}]']) {
    writeFileSync(file, text);
    expect(await enroll(file)).toMatchObject({
      code: 1,
      err: expect.stringContaining('is no file of enrollment'),
    });
    expect(readFileSync(file, 'utf8')).toBe(text);
  }
});

test.each(['0', '604801', 'x', '1.5'])('a --ttl of %s is refused', async (ttl) => {
  expect(await enroll(join(scratch(), 'e.json'), '--ttl', ttl)).toMatchObject({ code: 1 });
});
