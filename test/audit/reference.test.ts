import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { hashEvent } from '../../src/audit/chain.ts';
import type { ProblemKind } from '../../src/audit/verify.ts';
import { anEvent } from '../store/events.ts';
import { openScratch, scratchFile, withDatabase } from '../store/scratch.ts';

const page = readFileSync(new URL('../../docs/reference/audit.md', import.meta.url), 'utf8');
const script = /```python\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
const python = spawnSync('python3', ['-c', 'import sqlite3']).status === 0;

function runScript(path: string) {
  const { status, stdout, stderr } = spawnSync('python3', ['-', path], { input: script, encoding: 'utf8' });
  return { status, stdout, stderr };
}

test('the hash is what it has always been', () => {
  // Trails outlive versions: if this fails, the hash has changed and every trail out there is broken.
  expect(
    hashEvent({
      id: '5c0e0c4e-6a3b-4f0e-9d53-0d2b0a5f3f11',
      event_type: 'ToolCallAuthorized',
      execution_id: 'exec "1"\\',
      tenant_id: null,
      revision: '\u0001\u007f\u2028',
      payload_text: '{"a":"ü🧀","b":[1,2.5]}',
      created_at: '2026-02-17T14:32:01.583Z',
      writer: 'd3b07384-d9a0-4c1b-8d5e-7a4f6f1e2c33',
      seq: 7,
      prev_hash: '0'.repeat(64),
    }),
  ).toBe('0b286003b09ea7b8b5dc3a59f711c9e098404bae4b7a8062bc6237efd7c2b26a');
});

test('the page names every problem that verifyChain reports', () => {
  const kinds: Record<ProblemKind, true> = {
    hash_mismatch: true,
    gap: true,
    broken_link: true,
    out_of_order: true,
    anchor_missing: true,
  };
  for (const kind of Object.keys(kinds)) expect(page).toContain(`| \`${kind}\` |`);
});

describe.skipIf(!python)('the script of the page (SKIPPED without python3)', () => {
  test('agrees with a real trail, also beside a running gateway', async () => {
    const path = scratchFile();
    const store = await openScratch(path);
    const awkward = 'a "quoted" \\ käse 🧀 \b\t\n\f\r\0\u0001\u001f\u007f\u0080\u2028\u2029\ufeff\ud800';
    await store.append([
      anEvent({ payload: { awkward, [awkward]: [1, -0, 1e21, 1e-7, 0.1, null, true] } }),
      anEvent({ execution_id: awkward, tenant_id: '', revision: null }),
      anEvent({ execution_id: null, tenant_id: null, payload: {} }),
    ]);
    const expected = {
      status: 0,
      stdout: expect.stringMatching(/^[0-9a-f-]{36}: 3 events, head [0-9a-f]{64}\n$/),
    };
    expect(runScript(path)).toMatchObject(expected);
    const { hash } = (await store.query({ limit: 1 }))[0] ?? {};
    await store.close();
    expect(runScript(path)).toMatchObject(expected);
    expect(runScript(path).stdout).toContain(hash);
  });

  test('finds what was tampered with', async () => {
    const path = scratchFile();
    const store = await openScratch(path);
    await store.append([anEvent(), anEvent(), anEvent(), anEvent()]);
    await store.close();
    withDatabase(path, (db) => {
      db.exec(`DROP TRIGGER gateway_events_no_update; DROP TRIGGER gateway_events_no_delete;
        UPDATE gateway_events SET tenant_id = 'bolt' WHERE seq = 1; DELETE FROM gateway_events WHERE seq = 3`);
    });
    const { status, stdout } = runScript(path);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^event 1 of .*\nevent 4 of .*\n/);
  });
});
