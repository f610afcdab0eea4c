import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { AuditEvent } from '../../src/audit/event.ts';
import type { Store } from '../../src/store/store.ts';
import { anEvent } from '../store/events.ts';
import { openScratch, withDatabase } from '../store/scratch.ts';
import { runCli, scratch } from './run.ts';

/** A trail of these events, and the configuration that names it. */
async function trail(
  ...events: AuditEvent[]
): Promise<{ store: Store; config: string; path: string; dir: string }> {
  const dir = scratch();
  const path = join(dir, 'gateway.db');
  const store = await openScratch(path);
  if (events.length > 0) await store.append(events);
  const config = join(dir, 'gateway.yaml');
  writeFileSync(
    config,
    `apiVersion: seal.gateway/v1\nkind: GatewayConfig\nspec: {database: {url: "sqlite://${path}"}}\n`,
  );
  return { store, config, path, dir };
}

const rejected = anEvent({
  event_type: 'ToolCallRejected',
  execution_id: null,
  payload: { tool_name: 'fs.read', code: 2000, reason: 'not allowed' },
});

describe('audit list', () => {
  test('is a table, oldest first, beside the one who writes', async () => {
    const { config } = await trail(anEvent(), rejected);
    const { code, out, err } = await runCli(['audit', 'list', '--config', config]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.split('\n').map((line) => line.replace(/ +/g, ' '))).toEqual([
      'TIME EVENT EXECUTION SUMMARY',
      '2026-02-17T14:32:01.583Z ToolCallAuthorized exec-1 tool_name=customer.invoice_total agent_id=agent-7',
      '2026-02-17T14:32:01.583Z ToolCallRejected - tool_name=fs.read code=2000 reason=not allowed',
      '',
    ]);
  });

  test('filters, pages, and prints JSON', async () => {
    const { config } = await trail(
      anEvent(),
      rejected,
      anEvent({ execution_id: 'exec-2', tenant_id: 'bolt' }),
    );
    const list = async (...options: string[]): Promise<AuditEvent[]> =>
      JSON.parse((await runCli(['audit', 'list', '--config', config, '-o', 'json', ...options])).out);
    expect(await list()).toHaveLength(3);
    expect(await list('--type', 'ToolCallRejected')).toMatchObject([{ payload: { tool_name: 'fs.read' } }]);
    expect(await list('--tenant', 'bolt')).toMatchObject([{ execution_id: 'exec-2' }]);
    expect(await list('--execution', 'exec-1')).toHaveLength(1);
    expect(await list('--since', '2027-01-01T00:00:00Z')).toEqual([]);
    expect(await list('--limit', '1')).toMatchObject([{ execution_id: 'exec-2' }]);
    expect(await list('--after', '1', '--limit', '1')).toMatchObject([{ event_type: 'ToolCallRejected' }]);
  });

  test.each([
    [['--limit', 'many'], 'limit'],
    [['--limit', '0'], 'limit'],
    [['--after', 'x'], 'after'],
    [['--since', 'yesterday'], 'since'],
    [['--type', 'ToolCallReject'], 'ToolCallRejected'],
  ])('%j is told, not taken for nothing', async (options, word) => {
    const { config } = await trail(anEvent());
    const { code, out, err } = await runCli(['audit', 'list', '--config', config, ...options]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(word);
  });

  test('finds nothing in an empty trail, and says so', async () => {
    const { config } = await trail();
    expect(await runCli(['audit', 'list', '--config', config])).toEqual({
      code: 0,
      out: 'no such events\n',
      err: '',
    });
  });

  test('prints what callers have sent on one line, without what moves the cursor', async () => {
    const nasty = anEvent({
      execution_id: 'a\n\u001b[2Jb',
      payload: { tool_name: 'x\r\n\u001b]0;title\u0007y' },
    });
    const { config } = await trail(nasty);
    const { out } = await runCli(['audit', 'list', '--config', config]);
    expect(out.split('\n')).toHaveLength(3);
    expect(out).toContain('a [2Jb');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
  });

  test('says which configuration it read when there is no trail', async () => {
    const dir = scratch();
    const config = join(dir, 'gateway.yaml');
    writeFileSync(
      config,
      `apiVersion: seal.gateway/v1\nkind: GatewayConfig\nspec: {database: {url: "sqlite://${dir}/none.db"}}\n`,
    );
    const { code, err } = await runCli(['audit', 'list', '--config', config]);
    expect(code).toBe(1);
    expect(err).toMatch(/none\.db.*--config names the configuration to read\n$/);
  });
});

test('audit tail shows the last events and then each new one, until it is told to stop', async () => {
  const { store, config } = await trail(
    anEvent({ event_type: 'ManifestApplied', payload: { name: 'old' } }),
    rejected,
  );
  const program = new URL('../../src/main.ts', import.meta.url).pathname;
  const child = spawn(
    process.execPath,
    [program, 'audit', 'tail', '--config', config, '--type', 'ToolCallAuthorized'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const add = (name: string): Promise<void> =>
    store.append([anEvent({ payload: { tool_name: name } }), { ...rejected, id: name }]);
  await add('first');
  expect((await lines.next()).value).toMatch(/ToolCallAuthorized {2}exec-1 {2}tool_name=first$/);
  await add('second');
  await add('third');
  expect((await lines.next()).value).toMatch(/tool_name=second$/);
  expect((await lines.next()).value).toMatch(/tool_name=third$/);
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

describe('audit verify', () => {
  test('says that the chain is whole, and gives its head', async () => {
    const { config } = await trail(anEvent(), rejected);
    const { code, out, err } = await runCli(['audit', 'verify', '--config', config]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^writer [0-9a-f-]{36}: 2 events, head [0-9a-f]{64}\n2 events verified: /);
  });

  test('says what is broken, and fails', async () => {
    const { store, config, path } = await trail(anEvent(), rejected, anEvent());
    await store.close();
    withDatabase(path, (db) => {
      db.exec(
        "DROP TRIGGER gateway_events_no_update; UPDATE gateway_events SET tenant_id = 'bolt' WHERE seq = 2",
      );
    });
    const { code, out } = await runCli(['audit', 'verify', '--config', config]);
    expect(code).toBe(1);
    expect(out).toContain('hash_mismatch: ');
    expect(out).toContain('the chain is BROKEN: 1 problems in 3 events');
  });

  test('finds a cut-off end by the head that was noted', async () => {
    const { store, config, path, dir } = await trail(anEvent(), rejected, anEvent());
    const anchors = join(dir, 'anchors.json');
    writeFileSync(anchors, (await runCli(['audit', 'verify', '--config', config, '-o', 'json'])).out);
    const verify = () => runCli(['audit', 'verify', '--config', config, '--anchors', anchors]);
    expect(await verify()).toMatchObject({
      code: 0,
      out: expect.stringContaining('the noted heads are there'),
    });
    await store.close();
    withDatabase(path, (db) => {
      db.exec('DROP TRIGGER gateway_events_no_delete; DELETE FROM gateway_events WHERE seq = 3');
    });
    expect(await verify()).toMatchObject({ code: 1, out: expect.stringContaining('anchor_missing: ') });
  });

  test.each([
    'nothing',
    '{}',
    '[{}]',
    '[1]',
    '[{"writer": "w", "seq": "1", "hash": "h"}]',
    '{"writers": [{}]}',
  ])('anchors that are none are refused: %s', async (text) => {
    const { config, dir } = await trail(anEvent());
    const anchors = join(dir, 'anchors.json');
    writeFileSync(anchors, text);
    const { code, err } = await runCli(['audit', 'verify', '--config', config, '--anchors', anchors]);
    expect(code).toBe(1);
    expect(err).toContain('expected what "audit verify --output json" printed');
  });
});
