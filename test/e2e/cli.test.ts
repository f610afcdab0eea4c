/** CLI tools through a whole gateway: what is refused at which depth, what the trail says, and a kill in the midst. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Example, setUp } from '../../examples/crm/setup.ts';
import type { GatewayProcess } from '../../examples/gateway.ts';
import { verifyChain } from '../../src/audit/verify.ts';
import { SealError } from '../../src/client.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import type { PositionedEvent } from '../../src/store/store.ts';
import { BUSYBOX, containersLeft, describeOnEngines, haveBusybox } from '../support/engines.ts';
import { writeManifest } from '../support/gateway.ts';

const CALLS = 50;

describeOnEngines('CLI tools of a gateway', (engine) => {
  let example: Example;
  let gateway: GatewayProcess;
  let judge: Server;
  let judgement: unknown = { allowed: true, reason: 'it only looks' };

  beforeAll(async () => {
    await haveBusybox(engine);
    example = await setUp({
      configuration: { cli: { container_host: engine.address, max_queue: 100 } },
    });
    judge = createServer((_, response) => response.end(JSON.stringify(judgement))).listen(0, '127.0.0.1');
    await once(judge, 'listening');
    const { port } = judge.address() as { port: number };
    const manifests = join(example.dir, 'gateway.d');
    const shell = { image: BUSYBOX, pull_policy: 'never', resources: { memory: '32Mi' } };
    writeManifest(manifests, {
      kind: 'SemanticJudge',
      name: 'house',
      spec: { url: `http://127.0.0.1:${port}/` },
    });
    writeManifest(manifests, {
      kind: 'CliTool',
      name: 'box',
      spec: {
        ...shell,
        description: 'Prints and sleeps.',
        command: ['busybox'],
        allowed_subcommands: ['echo', 'sleep', 'cat'],
        args: {
          flags: { cat: { '--file': { type: 'path' } } },
          positionals: { pattern: '[a-z0-9 ]{1,20}', max: 3 },
        },
        stdin: true,
      },
    });
    writeManifest(manifests, {
      kind: 'CliTool',
      name: 'judged',
      spec: {
        ...shell,
        description: 'Prints.',
        command: ['busybox'],
        allowed_subcommands: ['echo', 'id'],
        args: { positionals: { pattern: '[a-z]+' } },
        require_semantic_judge: true,
        semantic_judge: 'house',
      },
    });
    writeManifest(manifests, {
      kind: 'SecurityContext',
      name: 'billing-shell',
      spec: {
        audit_arguments: true,
        deny_list: ['box:sleep 666', 'box:/etc'],
        capabilities: [
          { tool_pattern: 'box', command_allowlist: ['box'], subcommand_allowlist: ['echo', 'sleep'] },
          { tool_pattern: 'box', subcommand_allowlist: ['cat'], path_allowlist: ['/srv', '/etc'] },
          { tool_pattern: 'judged', subcommand_allowlist: ['echo'] },
        ],
      },
    });
    gateway = await example.startGateway();
  });
  afterAll(async () => {
    await gateway?.kill();
    judge?.close();
    await example?.close();
  });

  const client = () => example.client(gateway, { scp: 'billing-shell' });
  const call = (tool: string, args: Record<string, unknown>) => client().call(tool, args);
  const refusal = (tool: string, args: Record<string, unknown>) =>
    call(tool, args).then(
      () => null,
      (error: SealError) => error,
    );

  async function trail<T>(use: (events: PositionedEvent[]) => T | Promise<T>): Promise<T> {
    const reader = await openSqliteReader({ path: join(example.dir, 'data', 'gateway.db') });
    try {
      expect((await verifyChain(reader.scan())).problems).toEqual([]);
      return await use(await reader.query({ after: 0, limit: 10_000 }));
    } finally {
      await reader.close();
    }
  }

  test('run, and answer what the command wrote', async () => {
    const { result } = await call('box', { subcommand: 'echo', args: ['hello', 'world'] });
    expect(result).toEqual({ exit_code: 0, stdout: 'hello world\n', stderr: '', truncated: false });
    const of = (type: string) => (events: PositionedEvent[]) =>
      events.filter(({ event_type }) => event_type === type).map(({ payload }) => payload);
    expect(await trail(of('CliToolInvocationStarted'))).toMatchObject([
      { name: 'box', docker_image: BUSYBOX, command: ['busybox', 'echo'], args: ['hello', 'world'] },
    ]);
    expect(await trail(of('CliToolInvocationCompleted'))).toMatchObject([
      { name: 'box', exit_code: 0, stdout_bytes: 12, stderr_bytes: 0 },
    ]);
  });

  test('are listed with all that they are held to', async () => {
    const [box] = (await client().listTools()).filter(({ name }) => name === 'box');
    expect(box).toMatchObject({
      kind: 'cli',
      input_schema: {
        required: ['subcommand'],
        properties: { subcommand: { enum: ['echo', 'sleep', 'cat'] }, stdin: { type: 'string' } },
      },
    });
    const { args } = box!.input_schema.properties as { args: { description: string } };
    expect(args.description).toContain('cat: --file=<path>');
    expect(args.description).toContain('At most 3 other words, each matching [a-z0-9 ]{1,20}');
  });

  test.each<[string, string, Record<string, unknown>, number]>([
    ['a subcommand outside of the manifest', 'box', { subcommand: 'rm' }, 4000],
    ['a word outside of the manifest', 'box', { subcommand: 'echo', args: ['$(id)'] }, 4000],
    ['a subcommand outside of the context', 'judged', { subcommand: 'id' }, 2003],
    ['a subcommand on the deny list, its words apart', 'box', { subcommand: 'sleep', args: ['666'] }, 2001],
    ['a path outside of the context', 'box', { subcommand: 'cat', args: ['--file=/root/x'] }, 2002],
    ['a path on the deny list', 'box', { subcommand: 'cat', args: ['--file', '/etc/x'] }, 2001],
    ['a path in two spellings', 'box', { subcommand: 'cat', args: ['--file=/srv/../root/x'] }, 4000],
    ['no path where the context wants one', 'box', { subcommand: 'cat' }, 2002],
  ])('are refused: %s', async (_, tool, args, code) => {
    expect(await refusal(tool, args)).toMatchObject({ code });
  });

  test('are judged, each call anew', async () => {
    judgement = { allowed: true, reason: 'it only looks' };
    expect((await call('judged', { subcommand: 'echo', args: ['a'] })).result).toMatchObject({
      stdout: 'a\n',
    });
    judgement = { allowed: false, reason: 'not on a Friday' };
    expect(await refusal('judged', { subcommand: 'echo', args: ['a'] })).toMatchObject({
      code: 2007,
      message: expect.stringContaining('not on a Friday'),
    });
    await trail((events) => {
      const judged = events.filter(
        ({ payload }) => payload.name === 'judged' || payload.tool_name === 'judged',
      );
      expect(judged.map(({ event_type }) => event_type).slice(-5)).toEqual([
        'ToolCallAuthorized',
        'CliToolInvocationStarted',
        'CliToolInvocationCompleted',
        'ToolCallAuthorized',
        'CliToolSemanticRejected',
      ]);
      expect(judged.at(-5)!.payload).toMatchObject({ semantic_judge: 'house' });
      expect(judged.at(-4)!.payload).toMatchObject({ judge: 'house', judge_reason: 'it only looks' });
      expect(judged.at(-1)!.payload).toMatchObject({
        requested_subcommand: 'echo',
        rejection_reason: 'not on a Friday',
        judge: 'house',
      });
    });
  });

  test('are told of in the status', async () => {
    const status = await (await fetch(`${gateway.control_url}/v1/status`)).json();
    expect(status).toMatchObject({
      container_engine: { name: engine.name, address: engine.address, error: null },
    });
  });

  describe(`when the gateway is killed in the midst of ${CALLS}`, () => {
    test('leave no container, and no intent without an outcome', { timeout: 120_000 }, async () => {
      const calls = Array.from({ length: CALLS }, () =>
        call('box', { subcommand: 'sleep', args: ['20'] }).then(
          () => 'answered',
          (error: unknown) => (error instanceof SealError ? (error.code ?? 'cut') : 'cut'),
        ),
      );
      await expect
        .poll(async () => (await containersLeft(engine)).filter((one) => one.endsWith(' running')).length, {
          timeout: 60_000,
          interval: 50,
        })
        .toBeGreaterThanOrEqual(8);
      await gateway.kill();
      expect(new Set(await Promise.all(calls))).toEqual(new Set(['cut']));

      gateway = await example.startGateway();
      await expect.poll(() => containersLeft(engine), { timeout: 60_000, interval: 200 }).toEqual([]);
      await trail((events) => {
        const intents = events.filter(
          ({ event_type, payload }) => event_type === 'ToolCallAuthorized' && payload.rule,
        );
        const ended = new Map<unknown, string[]>();
        for (const { event_type, payload } of events) {
          if (!/Completed$|Failed$|Rejected$|Interrupted$/.test(event_type)) continue;
          ended.set(payload.call_id, [...(ended.get(payload.call_id) ?? []), event_type]);
        }
        expect(intents.filter(({ payload }) => ended.get(payload.call_id)?.length !== 1)).toEqual([]);
        const interrupted = events.filter(({ event_type }) => event_type === 'ToolCallInterrupted');
        expect(interrupted).toHaveLength(CALLS);
        expect(interrupted[0]!.payload).toMatchObject({ tool_name: 'box', reason: 'interrupted' });
      });
      expect((await call('box', { subcommand: 'echo', args: ['again'] })).result).toMatchObject({
        exit_code: 0,
      });
    });
  });
});
