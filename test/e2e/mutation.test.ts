import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Example, setUp } from '../../examples/crm/setup.ts';
import type { GatewayProcess } from '../../examples/gateway.ts';
import { createEnvelope, type SealEnvelope } from '../../src/client.ts';
import { sendRaw } from '../serve/http/raw.ts';
import { type Mutant, mutation } from './mutants.ts';

const BODY_BYTES = 65_536;
const BATCH = 40;
const BATCHES = 100;

let example: Example;
let gateway: GatewayProcess;
beforeAll(async () => {
  const limits = { body_bytes: BODY_BYTES, header_timeout_ms: 500, call_timeout_ms: 1_000 };
  example = await setUp({ configuration: { limits } });
  gateway = await example.startGateway();
});
afterAll(async () => {
  const code = await gateway.stop();
  await example.close();
  expect(code).toBe(0);
  expect(gateway.log()).not.toContain('"INTERNAL"');
});

describe('mutated envelopes', () => {
  test(`${BATCH * BATCHES} of them`, { timeout: 120_000 }, async () => {
    const batch = fc.array(mutation, { minLength: BATCH, maxLength: BATCH });
    let agents = 0;
    await fc.assert(
      fc.asyncProperty(batch, async (mutations) => {
        const sub = `agent-${++agents}`;
        const [envelope, other] = [await goodEnvelope(sub), await goodEnvelope(sub)];
        const mutants = mutations.map((mutate) => mutate(envelope, other));
        const problems = await Promise.all(mutants.map((mutant) => problemOf(mutant, envelope)));
        expect(problems.filter((problem) => problem !== null)).toEqual([]);
        expect((await post(await goodEnvelope(sub))).status).toBe(200);
      }),
      // What a noisy machine does not get through in time is left out. A smaller batch would tell no more.
      {
        numRuns: BATCHES,
        endOnFailure: true,
        interruptAfterTimeLimit: 15_000,
        markInterruptAsFailure: false,
      },
    );
    expect(gateway.process.exitCode).toBeNull();
  });
});

describe('HTTP that is none', () => {
  const head = 'POST /v1/invoke HTTP/1.1\r\nHost: a\r\n';

  test.each([
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00'],
    ['an unknown method', 'FETCH /v1/invoke HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['another version', 'POST /v1/invoke HTTP/3.0\r\nHost: a\r\n\r\n'],
    ['no host', 'POST /v1/invoke HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}'],
    ['a length that is none', `${head}Content-Length: two\r\n\r\n{}`],
    ['a negative length', `${head}Content-Length: -1\r\n\r\n{}`],
    ['two lengths', `${head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} `],
    ['a length and chunks', `${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a chunk of no size', `${head}Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n`],
    ['another transfer encoding', `${head}Transfer-Encoding: gzip\r\n\r\n{}`],
    ['a NUL in a header', `${head}X-A: a\0b\r\nContent-Length: 2\r\n\r\n{}`],
    ['headers without end', `${head}X-A: ${'x'.repeat(100_000)}`],
    ['a body that is shorter than announced', `${head}Content-Length: 9\r\n\r\nhalf`],
    ['a body that is longer than announced', `${head}Content-Length: 2\r\n\r\n{}{"tool":"x"}`],
    ['nothing', ''],
  ])('%s', async (_, text) => {
    const { socket, answer } = await sendRaw(gateway.url, text);
    socket.end();
    const statuses = [...(await answer).matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status));
    expect(statuses.filter((status) => status < 400 || status >= 500)).toEqual([]);
    expect((await post(await goodEnvelope('raw'))).status).toBe(200);
  });

  test('forty who send a byte now and then are cut off, and keep nobody waiting', async () => {
    const body = JSON.stringify(await goodEnvelope('slow'));
    let open = 40;
    const answers = Array.from({ length: open }, async (_, index) => {
      const [begun, rest] =
        index % 2 === 0
          ? [`${head}X-A: `, 'x'.repeat(1_000)]
          : [`${head}Content-Length: ${body.length}\r\n\r\n`, body];
      const { socket, answer } = await sendRaw(gateway.url, begun);
      let at = 0;
      const drip = setInterval(() => socket.write(rest[at++] ?? ''), 50);
      return answer.finally(() => {
        open -= 1;
        clearInterval(drip);
      });
    });
    expect((await post(await goodEnvelope('quick'))).status).toBe(200);
    expect(open).toBeGreaterThan(0);
    for (const answer of await Promise.all(answers)) expect(answer).toMatch(/^HTTP\/1\.1 408 |^$/);
    expect((await post(await goodEnvelope('after'))).status).toBe(200);
  });
});

async function goodEnvelope(sub: string): Promise<SealEnvelope> {
  return createEnvelope({
    tool: 'customer.invoice_total',
    arguments: { email: 'ada@example.com' },
    security_token: await example.token({ sub }),
    private_key: example.agent.private_key,
  });
}

async function post(envelope: SealEnvelope): Promise<Response> {
  return send({ body: Buffer.from(JSON.stringify(envelope)) });
}

function send({ body, headers }: Mutant): Promise<Response> {
  return fetch(`${gateway.url}/v1/invoke`, { method: 'POST', body, ...(headers && { headers }) });
}

/** Codes of the checks before the replay claim: whoever gets another one has passed the signature. */
const UNAUTHENTICATED = new Set([1000, 1001, 1003, 1004, 1005]);

/** What is wrong with the answer to a mutant; null: nothing. */
async function problemOf(mutant: Mutant, envelope: SealEnvelope): Promise<string | null> {
  const response = await send(mutant);
  const answer = JSON.parse(await response.text()) as { error?: { code: number } };
  const said = `${response.status} ${JSON.stringify(answer)} for ${Buffer.from(mutant.body).toString().slice(0, 2_000)}`;
  if (response.status >= 500) return said;
  const refused = UNAUTHENTICATED.has(answer.error?.code ?? 0);
  return refused || sameCall(mutant.body, envelope) ? null : said;
}

/** Whether the signed parts are what they were, to the digit. */
function sameCall(body: Uint8Array, envelope: SealEnvelope): boolean {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
    return isDeepStrictEqual(
      signedParts(parseExactly(text)),
      signedParts(parseExactly(JSON.stringify(envelope))),
    );
  } catch {
    return false;
  }
}

function signedParts(envelope: SealEnvelope): unknown[] {
  const { payload, security_token, timestamp } = envelope;
  return [payload, security_token, Math.floor(Date.parse(timestamp) / 1000)];
}

/** Numbers stay as they were written. */
function parseExactly(text: string): SealEnvelope {
  return JSON.parse(text, (_, value: unknown, context?: { readonly source?: string }) =>
    typeof value === 'number' ? { number: context?.source } : value,
  ) as SealEnvelope;
}
