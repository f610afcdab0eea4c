/**
 * What a credential adds to a signed call, by path, beside a bare request to the same stand-in: `make bench`. Calls of
 * all paths take turns, one at a time, so that whatever else the machine does is in each of them.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { setUp } from '../../examples/credentials/setup.ts';
import type { BareRequest } from './bare-request.ts';
import { startBareClient } from './processes.ts';

const ROUNDS = Number(process.argv[2] ?? 400);
const WARM_UP = 40;
const AFTER_MS = 3;

const example = await setUp('sqlite');
const agent = new Agent();
const client = await startBareClient();
const { bao, oidc } = example;

/** The same request without a credential, which the API refuses and the tool expects. */
const OPEN = `apiVersion: seal.gateway/v1
kind: ApiSpec
metadata: {name: ledger-open}
spec: {source: {file: ./ledger.openapi.yaml}, base_url: ${example.ledger.url}, egress: {allow_private: true}}
---
apiVersion: seal.gateway/v1
kind: ApiSpec
metadata: {name: ledger-cached}
spec:
  source: {file: ./ledger.openapi.yaml}
  base_url: ${example.ledger.url}
  egress: {allow_private: true}
  credential: {static_ref: {key: ledger/api, field: token, cache_seconds: 60}}
  inject: {header: {name: X-Api-Key}}
---
apiVersion: seal.gateway/v1
kind: ToolWorkflow
metadata: {name: ledger.open}
spec: {description: Nothing added., api_spec: ledger-open, steps: [{name: me, operation_id: whoAmI, expect_status: [401]}]}
---
apiVersion: seal.gateway/v1
kind: ToolWorkflow
metadata: {name: ledger.cached}
spec: {description: Read once a minute., api_spec: ledger-cached, steps: [{name: me, operation_id: whoAmI}]}
`;

interface Row {
  readonly path: string;
  readonly tool: string;
  readonly user: boolean;
  /** One request of its own to the server; absent: the path asks nobody as a rule. */
  readonly bare?: BareRequest;
}

const asked = (path: string): BareRequest => ({
  url: `${bao.url}/v1/${path}`,
  headers: { 'x-vault-token': bao.root_token },
});

async function send(url: string, envelope: string, user_token: string | null): Promise<void> {
  const reply = await request(`${url}/v1/invoke`, {
    dispatcher: agent,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(user_token !== null && { 'x-user-token': user_token }),
    },
    body: envelope,
  });
  const text = await reply.body.text();
  if (reply.statusCode !== 200) throw new Error(text);
}

const ROWS: readonly Row[] = [
  { path: 'none', tool: 'ledger.open', user: false },
  { path: 'static_ref', tool: 'ledger.static', user: false, bare: asked('secret/data/ledger/api') },
  { path: 'static_ref, cached', tool: 'ledger.cached', user: false },
  { path: 'system_jit', tool: 'ledger.jit', user: false, bare: asked('database/creds/ledger-reader') },
  { path: 'human_delegated, cached', tool: 'ledger.delegated', user: true },
];

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

try {
  writeFileSync(join(example.dir, 'gateway.d', 'bench.yaml'), OPEN);
  const gateway = await example.startGateway();
  try {
    const user_token = await oidc.userToken({ sub: 'olga' });
    const calls = new Map(ROWS.map(({ path }) => [path, [] as number[]]));
    const bares = new Map(ROWS.map(({ path }) => [path, [] as number[]]));
    for (let round = 0; round < ROUNDS + WARM_UP; round += 1) {
      for (const { path, tool, user, bare } of ROWS) {
        // Signed ahead: what the caller's side costs is not the gateway's.
        const envelope = JSON.stringify(await example.sign(tool));
        const call = await timed(() => send(gateway.url, envelope, user ? user_token : null));
        // What the gateway does after the reply is not to be in the next figure.
        await sleep(AFTER_MS);
        const alone = bare === undefined ? null : await client.get(bare);
        if (round < WARM_UP) continue;
        calls.get(path)!.push(call);
        if (alone !== null) bares.get(path)!.push(alone);
      }
    }
    // The best tenth beside the median: on a busy machine it is the nearer to what the work costs.
    const rowOf = ({ path }: Row) => {
      const beyond = (q: number) => {
        const own = bares.get(path)!;
        const added = quantile(calls.get(path)!, q) - quantile(calls.get('none')!, q);
        return added - (own.length === 0 ? 0 : quantile(own, q));
      };
      const p50 = quantile(calls.get(path)!, 0.5);
      const added = p50 - quantile(calls.get('none')!, 0.5);
      return {
        path,
        p50_ms: p50,
        added_ms: added,
        bare_ms: added - beyond(0.5),
        beyond_ms: beyond(0.5),
        beyond_p10_ms: beyond(0.1),
      };
    };
    const table = ROWS.map(rowOf);
    const shown = (value: number) => Number(value.toFixed(2));
    console.log(`credentials: ${ROUNDS} signed calls of each path, one at a time`);
    console.table(
      Object.fromEntries(
        table.map(({ path, ...figures }) => [
          path,
          Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, shown(value)])),
        ]),
      ),
    );
    writeFileSync('bench-credentials.json', `${JSON.stringify({ rounds: ROUNDS, table }, null, 2)}\n`);
  } finally {
    await gateway.stop();
  }
} finally {
  await client.stop();
  await agent.close();
  await example.close();
}
