/** The whole pipeline on real parts: a store on disk, an upstream on loopback, calls signed as a client signs them. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { createCredentials } from '../../src/credentials/call.ts';
import type { CliRunner } from '../../src/execute/cli-run.ts';
import { createSlicer } from '../../src/execute/slicer.ts';
import { newId } from '../../src/ids.ts';
import type { CallError, CallReply } from '../../src/invoke/call.ts';
import { createInvoker, type Invoker, type InvokerDeps } from '../../src/invoke/invoke.ts';
import { createLimiter } from '../../src/invoke/limit.ts';
import { createRejections } from '../../src/invoke/rejections.ts';
import { createSessionFinder } from '../../src/invoke/session.ts';
import { literalOperation } from '../../src/openapi/request.ts';
import { createHolder, type SnapshotHolder } from '../../src/snapshot/holder.ts';
import {
  type Issuer,
  type SecurityContext,
  type Snapshot,
  scoped,
  type Tenant,
  type Tool,
  type WorkflowTool,
} from '../../src/snapshot/snapshot.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { PositionedEvent, Store } from '../../src/store/store.ts';
import { newSigner, signText } from '../envelope/signing.ts';
import { apiOf, serveUpstream, testEgress, type Upstream } from '../execute/upstream.ts';
import { compileContext, type WrittenContext } from '../policy/written.ts';

export const NOW_MS = 1_771_338_722_000;
const ISS = 'https://issuer.example';

const tokenKeys = generateKeyPairSync('ed25519');
const strangeKeys = generateKeyPairSync('ed25519');
/** One store for all the tests of a file: none of them reads another's events or uses another's token. */
const directory = mkdtempSync(join(tmpdir(), 'seal-invoke-'));
const store = await openSqliteStore({ path: join(directory, 'gateway.db'), clock: systemClock });
afterAll(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

const slicer = createSlicer();
afterAll(() => slicer.close());

/** Who signs the envelopes. */
export const agent = newSigner();
const stranger = newSigner();

/** A call as its sender makes it; each part may be wrong. */
export interface Sent {
  readonly tool?: string;
  readonly arguments?: Record<string, unknown>;
  /** JSON text, in place of the call of `tool`. */
  readonly payload?: string;
  readonly protocol?: string;
  /** Whole Unix seconds. */
  readonly timestamp?: number;
  /** Signed by a key that nobody knows. */
  readonly forged?: boolean;
  readonly claims?: Record<string, unknown>;
  /** The token is signed by a key that nobody knows. */
  readonly forged_token?: boolean;
}

export async function tokenOf(claims: Record<string, unknown> = {}, forged = false): Promise<string> {
  const now = NOW_MS / 1000;
  const key: KeyObject = (forged ? strangeKeys : tokenKeys).privateKey;
  const standard = { iss: ISS, aud: 'seal-gateway', sub: 'agent-7', iat: now, exp: now + 300 };
  return new SignJWT({ ...standard, jti: newId(), scp: 'reader', ...claims })
    .setProtectedHeader({ alg: 'EdDSA' })
    .sign(key);
}

/** The body of a request. */
export async function bodyOf(sent: Sent): Promise<Uint8Array> {
  const { tool = 'crm.read', arguments: args = {}, timestamp = NOW_MS / 1000 } = sent;
  const params = { name: tool, arguments: args };
  const payload =
    sent.payload ?? JSON.stringify({ jsonrpc: '2.0', id: 'req-1', method: 'tools/call', params });
  const token = JSON.stringify(await tokenOf(sent.claims, sent.forged_token));
  // Signed in the order sent, which is one of the readings.
  const message = `{"payload":${payload},"security_token":${token},"timestamp":${timestamp}}`;
  const signature = signText(sent.forged ? stranger : agent, message);
  return Buffer.from(
    `{"protocol":"${sent.protocol ?? 'seal/v1'}","signature":"${signature}",${message.slice(1)}`,
  );
}

export interface Parts {
  readonly context?: WrittenContext & Partial<Pick<SecurityContext, 'audit_arguments'>>;
  readonly max_response_size?: number;
  readonly issuer?: Partial<Issuer>;
  readonly tenant?: Partial<Tenant>;
  readonly tool?: Partial<WorkflowTool>;
  readonly tools?: readonly Tool[];
  readonly upstream?: RequestListener;
  readonly limits?: Partial<InvokerDeps['limits']>;
  readonly store?: Partial<Store>;
  readonly cli?: CliRunner;
  readonly operator_context?: string;
  /** There is no snapshot yet. */
  readonly empty?: boolean;
}

/** The containers of tests that run none. */
const noContainers: CliRunner = {
  run: () => Promise.reject(new Error('this test runs no containers')),
  prepare: () => {},
  state: () => ({ name: null, version: null, address: null, error: 'there is none' }),
  close: async () => {},
};

export interface Pipeline {
  readonly invoker: Invoker;
  readonly holder: SnapshotHolder;
  readonly snapshot: Snapshot;
  readonly upstream: Upstream;
  invoke(sent?: Sent | Uint8Array, signal?: AbortSignal): Promise<CallReply>;
  /** How the call was refused. */
  refused(sent?: Sent | Uint8Array): Promise<CallError>;
  /** The events since the last time. */
  events(): Promise<PositionedEvent[]>;
}

export async function pipeline(parts: Parts = {}): Promise<Pipeline> {
  const upstream = await serveUpstream(
    parts.upstream ??
      ((_, response) => response.setHeader('content-type', 'application/json').end('{"a":1}')),
  );
  const holder = createHolder();
  const snapshot = snapshotOf(parts, upstream);
  if (parts.empty !== true) holder.swap(snapshot);
  const clock = { now: () => NOW_MS, monotonic: () => performance.now() };
  const invoker = createInvoker({
    holder,
    store: { ...store, ...parts.store },
    limiter: createLimiter(clock),
    rejections: createRejections({ clock, limiter: createLimiter(clock), per_minute: 60 }),
    sessions: createSessionFinder(store.sessions),
    instance: 'test',
    cli: parts.cli ?? noContainers,
    egress: testEgress(),
    slicer,
    credentials: createCredentials({ providers: {}, clock }).open,
    clock,
    newId,
    limits: { call_timeout_ms: 10_000, max_in_flight: 100, ...parts.limits },
    operator_context: parts.operator_context ?? null,
  });
  const never = new AbortController().signal;
  const invoke = async (sent: Sent | Uint8Array = {}, signal = never): Promise<CallReply> => {
    const body = sent instanceof Uint8Array ? sent : await bodyOf(sent);
    return invoker.invoke(async () => body, signal);
  };
  let seen = (await store.query({ limit: 1 })).at(-1)?.position ?? 0;
  return {
    invoker,
    holder,
    snapshot,
    upstream,
    invoke,
    refused: (sent) =>
      invoke(sent).then(
        () => Promise.reject(new Error('it was not refused')),
        (error: CallError) => error,
      ),
    async events() {
      const events = await store.query({ after: seen });
      seen = events.at(-1)?.position ?? seen;
      return events;
    },
  };
}

function snapshotOf(parts: Parts, upstream: Upstream): Snapshot {
  const { audit_arguments = false, ...written } = parts.context ?? {
    capabilities: [{ tool_pattern: 'crm.*' }],
  };
  const compiled = compileContext(written, 'reader');
  const capabilities = compiled.capabilities.map((capability) => ({
    ...capability,
    max_response_size: parts.max_response_size ?? null,
  }));
  const tools: Tool[] = [toolOf(upstream, parts.tool), ...(parts.tools ?? [])];
  const tenant: Tenant = {
    name: 'acme',
    display_name: 'Acme',
    suspended: false,
    rate_limit: null,
    max_concurrency: null,
    allowed_security_contexts: null,
    ...parts.tenant,
  };
  return {
    revision: 'rev-1',
    generation: 1,
    issuers: new Map([[ISS, issuerOf(parts.issuer)]]),
    tenants: new Map([['acme', tenant]]),
    contexts: new Map([[scoped(null, 'reader'), { ...compiled, capabilities, audit_arguments }]]),
    tools: new Map(tools.map((tool) => [scoped(tool.tenant, tool.name), tool])),
  };
}

function issuerOf(changes: Partial<Issuer> = {}): Issuer {
  return {
    name: 'ci',
    tenant: null,
    issuer: ISS,
    audience: ['seal-gateway'],
    algorithms: ['EdDSA', 'Ed25519'],
    keys: { candidates: async () => [tokenKeys.publicKey] },
    envelope_keys: [agent.key],
    replay: 'token',
    sessions_only: false,
    default_security_context: 'reader',
    allowed_tenants: null,
    allowed_security_contexts: null,
    max_token_ttl_seconds: 3600,
    ...changes,
  };
}

/** One GET of the upstream, whose reply is the result. */
function toolOf(upstream: Upstream, changes: Partial<WorkflowTool> = {}): WorkflowTool {
  const tool: Omit<WorkflowTool, 'stages'> = {
    kind: 'workflow',
    name: 'crm.read',
    tenant: null,
    description: 'Reads.',
    input_schema: { type: 'object' },
    output_schema: null,
    tags: ['crm'],
    category: 'crm',
    annotations: { read_only: true },
    validate: (args) => ('bad' in (args as object) ? ['/bad: is not expected'] : []),
    validate_output: null,
    steps: [
      {
        name: 'read',
        api: apiOf(upstream.url),
        operation: literalOperation('GET', '/a'),
        path_params: {},
        query: {},
        headers: {},
        body: null,
        extract: new Map(),
        on_error: 'fail',
        defaults: {},
        expect_status: null,
        when: null,
        for_each: null,
        paginate: null,
        retry: null,
      },
    ],
    output: null,
    timeout_ms: 10_000,
    ...changes,
  };
  return { stages: tool.steps.map((step) => [step]), ...tool };
}
