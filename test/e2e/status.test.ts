/** As somebody who has just cloned it: manifests are broken and mended, and only `status` is looked at. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Example, setUp } from '../../examples/crm/setup.ts';
import type { GatewayProcess } from '../../examples/gateway.ts';
import { runCli } from '../cli/run.ts';

const WORKFLOW = 'workflows/customer-invoice-total.yaml';
const CONTEXT = 'contexts/billing-read.yaml';

let example: Example;
let gateway: GatewayProcess;
beforeAll(async () => {
  example = await setUp();
  gateway = await example.startGateway();
});
afterAll(async () => {
  await gateway.stop();
  await example.close();
});

const place = (file: string): string => join(example.dir, 'gateway.d', file);
const edit = (file: string, from: string, to: string): void => {
  const text = readFileSync(place(file), 'utf8');
  expect(text).toContain(from);
  writeFileSync(place(file), text.replace(from, to));
};

interface Shown {
  readonly code: number;
  readonly out: string;
  /** Of the manifest of this name: STATUS, REVISION, REASON, WHERE. */
  row(name: string): string[];
}

async function status(): Promise<Shown> {
  const { code, out } = await runCli(['status', '--control', gateway.control_url]);
  const row = (name: string): string[] =>
    out
      .split('\n')
      .map((line) => line.split(/ {2,}/))
      .find((cells) => cells[1] === name)
      ?.slice(2) ?? [];
  return { code, out, row };
}

/** Looks until it is so, for ten seconds. */
async function until(so: (shown: Shown) => boolean): Promise<Shown> {
  let shown = await status();
  for (const end = Date.now() + 10_000; !so(shown) && Date.now() < end; ) {
    await sleep(50);
    shown = await status();
  }
  expect(so(shown), shown.out).toBe(true);
  return shown;
}

const allReady = ({ code, out }: Shown): boolean => code === 0 && /, (\d+) of \1 manifests Ready, /.test(out);

describe('what is broken shows, and shows how to mend it', () => {
  test('at first all is Ready', async () => {
    expect(allReady(await status())).toBe(true);
  });

  test('an operation that is none: the last good version stays, and the place is told to the column', async () => {
    const [, revision] = (await status()).row('customer.invoice_total');
    edit(WORKFLOW, 'operation_id: listInvoices', 'operation_id: listInvoice');
    const shown = await until(({ code }) => code === 1);
    const [stale, serving, reason, where = ''] = shown.row('customer.invoice_total');
    expect([stale, serving]).toEqual(['Stale', revision]);
    expect(reason).toContain('did you mean listInvoices?');
    const [file = '', line, column] = where.split(':');
    expect(
      readFileSync(place(file), 'utf8')
        .split('\n')
        [Number(line) - 1]?.slice(Number(column) - 1),
    ).toBe('listInvoice');
    // The others are as they were, and the tool still works.
    expect(shown.row('customer.delete')[0]).toBe('Ready');
    const reply = await example.client(gateway).call('customer.invoice_total', { email: 'ada@example.com' });
    expect(reply.result).toMatchObject({ customer: 'Ada Lovelace' });

    edit(WORKFLOW, 'operation_id: listInvoice', 'operation_id: listInvoices');
    const mended = await until(allReady);
    expect(mended.row('customer.invoice_total')[0]).toBe('Ready');
  });

  test('a file that is no YAML any more', async () => {
    edit(WORKFLOW, 'input_schema:', 'input_schema: [');
    const shown = await until(({ code }) => code === 1);
    const [stale, , , where] = shown.row('customer.invoice_total');
    expect(stale).toBe('Stale');
    expect(where).toMatch(new RegExp(`^${WORKFLOW}:\\d+:\\d+$`));
    edit(WORKFLOW, 'input_schema: [', 'input_schema:');
    await until(allReady);
  });

  test('a right: nothing of it is in force until it is mended', async () => {
    edit(CONTEXT, 'tool_pattern: "customer.*"', 'tool_patern: "customer.*"');
    const shown = await until(({ code }) => code === 1);
    const [invalid, serving, reason] = shown.row('billing-read');
    expect([invalid, serving]).toEqual(['Invalid', '-']);
    expect(reason).toMatch(/tool_patern|tool_pattern is missing/);
    edit(CONTEXT, 'tool_patern: "customer.*"', 'tool_pattern: "customer.*"');
    await until(allReady);
  });

  test('what is no manifest at all', async () => {
    writeFileSync(place('notes.yaml'), 'remember: the milk\n');
    const shown = await until(({ code }) => code === 1);
    expect(shown.out).toMatch(/\nnotes\.yaml:1:1: this is no manifest/);
    rmSync(place('notes.yaml'));
    await until(allReady);
  });

  test('a directory that is gone', async () => {
    renameSync(place('.'), `${place('.')}.away`);
    const shown = await until(({ code }) => code === 1);
    expect(shown.out).toMatch(/\nerror: .*gateway\.d is not there/);
    expect(shown.row('customer.invoice_total')[0]).toBe('Ready');
    renameSync(`${place('.')}.away`, place('.'));
    await until(allReady);
  });

  test('a new manifest appears, and one that is removed goes', async () => {
    mkdirSync(place('tenants/acme'), { recursive: true });
    const spec = 'spec: {description: None., capabilities: []}';
    writeFileSync(
      place('tenants/acme/context.yaml'),
      `apiVersion: seal.gateway/v1\nkind: SecurityContext\nmetadata: {name: nothing}\n${spec}\n`,
    );
    await until((shown) => shown.row('acme/nothing')[0] === 'Ready');
    rmSync(place('tenants'), { recursive: true });
    await until((shown) => shown.row('acme/nothing').length === 0);
  });
});

describe('the control listener of a running gateway', () => {
  const get = async (path: string) => {
    const response = await fetch(gateway.control_url + path);
    return { status: response.status, body: (await response.json()) as Record<string, never> };
  };

  test('says loudly that it is in development', () => {
    expect(gateway.log()).toMatch(/"level":40,.*DEVELOPMENT MODE/);
  });

  test('shows a manifest as it is in force', async () => {
    const { status: code, body } = await get('/v1/workflows/customer.delete');
    expect(code).toBe(200);
    expect(body).toMatchObject({
      kind: 'ToolWorkflow',
      tenant: null,
      status: 'Ready',
      file: 'workflows/customer-delete.yaml',
      spec: { api_spec: 'crm', steps: [{ name: 'delete', operation_id: 'deleteCustomer' }] },
    });
    const { body: specs } = await get('/v1/specs');
    expect(specs).toMatchObject({
      revision: body.revision_applied,
      items: [{ name: 'crm', file: 'crm.yaml' }],
    });
  });

  test('is what a plan can be made against', async () => {
    const plan = (...more: string[]) =>
      runCli(['plan', '--from', gateway.control_url, place('.'), '--exit-code', ...more]);
    expect(await plan()).toMatchObject({ code: 0, out: expect.stringMatching(/\n\nNo changes\.\n$/) });
    const drifted = await runCli([
      'plan',
      'gateway',
      '--control',
      gateway.control_url,
      '--from',
      place('contexts'),
    ]);
    expect(drifted.out).toContain('+ ToolWorkflow customer.delete (workflows/customer-delete.yaml:1)\n');
  });

  test('finds the calls of a tool and of an agent in the trail', async () => {
    const client = example.client(gateway, { sub: 'agent-of-this-test' });
    await expect(client.call('customer.delete', { customer_id: 'c-1' })).rejects.toThrow();
    const { body } = await get('/v1/events?agent=agent-of-this-test&tool=customer.delete&limit=5');
    expect(body).toMatchObject({
      events: [{ event_type: 'ToolCallRejected', payload: { name: 'POLICY_TOOL_DENIED' } }],
      next: null,
    });
  });

  test('answers a write with a manifest that, written to its file, is applied', async () => {
    const response = await fetch(`${gateway.control_url}/v1/security-contexts`, {
      method: 'POST',
      body: JSON.stringify({ name: 'nobody', description: 'None.', capabilities: [] }),
    });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    const { error } = (await response.json()) as {
      error: { message: string; details: { file: string; manifest_yaml: string; diagnostics: unknown[] } };
    };
    expect(error.message).toContain('configuration flows through git');
    expect(error.details).toMatchObject({ file: 'contexts/nobody.yaml', diagnostics: [] });
    expect((await status()).row('nobody')).toEqual([]);

    writeFileSync(place(error.details.file), error.details.manifest_yaml);
    await until((shown) => shown.row('nobody')[0] === 'Ready');
    expect(allReady(await status())).toBe(true);
  });
});
