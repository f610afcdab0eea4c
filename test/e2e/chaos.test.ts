/**
 * Configuration that changes without end, in every way that there is. Held against a model (test/reconcile/chaos), and
 * against what signed calls get while it changes.
 */
import { rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type Chaos, Differs, runChaos } from '../reconcile/chaos/run.ts';
import { type Caller, draftCall, newKey, seal } from '../support/caller.ts';
import { type Answer, startTestGateway, type WrittenManifest } from '../support/gateway.ts';
import { startUpstream } from '../support/upstream.ts';

/** `make ci` takes two thousand edits. */
const FULL = process.env.SEAL_TEST_FULL === '1';
const SEED = Number(process.env.SEAL_CHAOS_SEED ?? Date.now() % 1_000_000);

describe('random edits leave in force what the rules say, after each of them', () => {
  // What needs no watcher has its short run in test/reconcile/chaos.test.ts.
  const asked: [Chaos['policy'], string, number, boolean][] = [
    ['keep-last-good', 'when it is asked', 700, false],
    ['atomic', 'when it is asked', 500, false],
  ];
  test.each([
    ...(FULL ? asked : []),
    ['keep-last-good', 'by events', FULL ? 500 : 20, true] as const,
    ['atomic', 'by events', FULL ? 300 : 20, true] as const,
  ])(`%s, noticed %s: %i edits, seed ${SEED}`, { timeout: 600_000 }, async (policy, _how, count, watch) => {
    const steps = Array.from({ length: count }, (_, step) => step);
    try {
      await runChaos({ seed: SEED, steps, policy, watch });
    } catch (error) {
      if (!(error instanceof Differs)) throw error;
      expect.fail(`SEAL_CHAOS_SEED=${SEED}\n${error.done.slice(-50).join('\n')}\n${error.message}`);
    }
  });
});

describe('no call is judged by half of a change', () => {
  const CHANGES = FULL ? 100 : 8;
  const AGENTS = 4;

  test(`${CHANGES} changes of a right and a tool under calls`, { timeout: CHANGES * 5_000 }, async () => {
    const upstream = await startUpstream(async (request, response) => {
      // Calls outlast the change that comes meanwhile.
      await sleep(Math.random() * 100);
      const tag = new URL(request.url!, 'http://upstream').searchParams.get('tag');
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ tag }));
    });
    const caller: Caller = { iss: 'https://main.invalid', issuer_key: newKey(), agent_key: newKey() };
    const gateway = await startTestGateway({ manifests: manifestsOf(upstream.url, caller, 0) });
    const dir = join(dirname(dirname(gateway.database)), 'gateway.d');
    let current = 0;
    let over = false;
    const answers: { asked: number; answer: Answer }[] = [];
    const agent = async (): Promise<void> => {
      while (!over) {
        const asked = Math.max(0, current - Math.floor(Math.random() * 2));
        answers.push({
          asked,
          answer: await gateway.post(seal(draftCall(caller, 'plain.tagged', { tag: asked }))),
        });
      }
    };
    try {
      const agents = Array.from({ length: AGENTS }, agent);
      while (current < CHANGES) {
        current += 1;
        for (const manifest of manifestsOf(upstream.url, caller, current)) {
          if (manifest.kind === 'SecurityContext' || manifest.kind === 'ToolWorkflow') {
            await replace(dir, manifest);
            await sleep(Math.random() * 20);
          }
        }
        await becomesLive(answers, current);
      }
      over = true;
      await Promise.all(agents);
    } finally {
      over = true;
      await gateway.close();
      await upstream.close();
    }
    const revisions = new Map<string, number>();
    for (const { asked, answer } of answers) {
      const { status, body } = answer;
      if (status !== 200) {
        // The context of another version does not allow the argument of this one.
        expect([status, body.error?.code]).toEqual([403, 2006]);
        continue;
      }
      expect(body.result, 'a call that the context of one version allowed ran the tool of another').toEqual({
        tag: String(asked),
      });
      const { revision } = body.meta as unknown as { revision: string };
      expect(revisions.get(revision) ?? asked, 'one revision, one version').toBe(asked);
      revisions.set(revision, asked);
    }
    expect(revisions.size).toBeGreaterThan(CHANGES / 2);
  });
});

/** The context allows the tag of its version alone; the tool sends the tag of its own. */
function manifestsOf(url: string, caller: Caller, tag: number): WrittenManifest[] {
  const document = { openapi: '3.0.3', info: { title: 'Upstream', version: '1' }, paths: {} };
  const egress = { allow_private: true };
  const jwks = { inline: { keys: [caller.issuer_key.jwk] } };
  const envelope_keys = { inline: { keys: [caller.agent_key.jwk] } };
  const issuer = { issuer: caller.iss, audience: 'seal-gateway', algorithms: ['EdDSA'], jwks, envelope_keys };
  const capability = { tool_pattern: 'plain.*', arguments: { properties: { tag: { const: tag } } } };
  const step = { name: 'only', method: 'GET', path: '/tag', query: { tag: String(tag) } };
  const input_schema = { type: 'object', properties: { tag: { type: 'integer' } } };
  return [
    { kind: 'TokenIssuer', name: 'main', spec: issuer },
    { kind: 'ApiSpec', name: 'upstream', spec: { source: { inline: document }, base_url: url, egress } },
    { kind: 'SecurityContext', name: 'main', spec: { capabilities: [capability] } },
    {
      kind: 'ToolWorkflow',
      name: 'plain.tagged',
      spec: { description: `Version ${tag}.`, api_spec: 'upstream', input_schema, steps: [step] },
    },
  ];
}

/** As an editor saves; JSON is YAML. */
async function replace(dir: string, { kind, name, spec }: WrittenManifest): Promise<void> {
  const file = join(dir, `${kind}--${name}.yaml`);
  const text = JSON.stringify({ apiVersion: 'seal.gateway/v1', kind, metadata: { name }, spec });
  await writeFile(`${file}.swp`, text);
  await rename(`${file}.swp`, file);
}

async function becomesLive(
  answers: readonly { asked: number; answer: Answer }[],
  tag: number,
): Promise<void> {
  const isLive = (): boolean =>
    answers.slice(-50).some(({ asked, answer }) => asked === tag && answer.status === 200);
  for (const end = Date.now() + 4_000; !isLive() && Date.now() < end; ) await sleep(10);
  expect(isLive(), `version ${tag} is live`).toBe(true);
}
