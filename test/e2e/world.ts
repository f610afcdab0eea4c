/** A gateway with a tool for everything that can go wrong, its callers, and the upstream behind it. */
import type { ServerResponse } from 'node:http';
import { type Caller, type Draft, draftCall, newKey, seal } from '../support/caller.ts';
import {
  type Answer,
  type GatewayOptions,
  startTestGateway,
  type TestGateway,
  type WrittenManifest,
} from '../support/gateway.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

export interface World {
  readonly gateway: TestGateway;
  readonly upstream: Upstream;
  readonly callers: Callers;
  /** Sends the draft of a call. */
  send(draft: Draft): Promise<Answer>;
  /** Answers the requests to `/held` so far. */
  release(): void;
  close(): Promise<void>;
}

export interface Callers {
  /** Its tokens are good for one call. */
  readonly main: Caller;
  /** Its envelopes are good for one call; a token may come with many. */
  readonly reusing: Caller;
  /** It has no envelope keys: its tokens bring their own (`cnf`). */
  readonly keyless: Caller;
}

/** The tool that always answers `{"ok":true}`. */
export const GOOD_TOOL = 'plain.ok';

export async function startWorld(options: Partial<GatewayOptions> = {}): Promise<World> {
  const held = new Set<ServerResponse>();
  const upstream = await startUpstream((request, response) => {
    if (request.url === '/held') held.add(response);
    else if (request.url === '/broken') request.socket.destroy();
    else if (request.url === '/failing') send(response, 500, { error: 'out of order' });
    else if (request.url === '/nested') sendText(response, 200, '['.repeat(20_000) + ']'.repeat(20_000));
    else if (request.url === '/large') send(response, 200, { text: 'x'.repeat(4_096) });
    else send(response, 200, { ok: true });
  });
  const callers = newCallers();
  const gateway = await startTestGateway({
    ...options,
    manifests: [...manifestsOf(upstream.url, callers), ...(options.manifests ?? [])],
  });
  return {
    gateway,
    upstream,
    callers,
    send: (draft) => gateway.post(seal(draft)),
    release() {
      for (const response of held) send(response, 200, { ok: true });
      held.clear();
    },
    async close() {
      await gateway.close();
      await upstream.close();
    },
  };
}

/** A draft of a call that is answered with `{"ok":true}`. */
export function goodCall({ callers }: World): Draft {
  return draftCall(callers.main, GOOD_TOOL);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  sendText(response, status, JSON.stringify(body));
}

function sendText(response: ServerResponse, status: number, json: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(json);
}

function newCallers(): Callers {
  const caller = (name: string): Caller => ({
    iss: `https://${name}.invalid`,
    issuer_key: newKey(),
    agent_key: newKey(),
  });
  return { main: caller('main'), reusing: caller('reusing'), keyless: caller('keyless') };
}

function manifestsOf(url: string, { main, reusing, keyless }: Callers): WrittenManifest[] {
  const lookup = (path: string) => ({ [path]: { get: { responses: { 200: { description: 'Fine.' } } } } });
  const paths = ['/ok', '/held', '/broken', '/failing', '/nested', '/large'].map(lookup);
  const document = {
    openapi: '3.0.3',
    info: { title: 'Upstream', version: '1' },
    paths: Object.assign({}, ...paths),
  };
  // Nobody provides it.
  const credential = { static_ref: { key: 'services/upstream', field: 'token' } };
  const api = (name: string, more: Record<string, unknown> = {}): WrittenManifest => ({
    kind: 'ApiSpec',
    name,
    spec: { source: { inline: document }, base_url: url, egress: { allow_private: true }, ...more },
  });
  const tool = (name: string, path = '/ok', api_spec = 'upstream'): WrittenManifest => ({
    kind: 'ToolWorkflow',
    name,
    spec: {
      description: 'One request.',
      api_spec,
      input_schema: {
        type: 'object',
        additionalProperties: false,
        properties: {
          path: { type: 'string' },
          url: { type: 'string' },
          command: { type: 'string' },
          to: { type: 'string' },
          deep: {},
        },
      },
      steps: [{ name: 'only', method: 'GET', path }],
    },
  });
  const issuer = (caller: Caller, name: string, more: Record<string, unknown>): WrittenManifest => ({
    kind: 'TokenIssuer',
    name,
    spec: {
      issuer: caller.iss,
      audience: 'seal-gateway',
      algorithms: ['EdDSA'],
      jwks: { inline: { keys: [caller.issuer_key.jwk] } },
      allowed_security_contexts: ['main'],
      ...more,
    },
  });
  const tenant = (name: string, more: Record<string, unknown>): WrittenManifest => ({
    kind: 'Tenant',
    name,
    spec: { display_name: name, ...more },
  });
  const envelope_keys = (caller: Caller) => ({ inline: { keys: [caller.agent_key.jwk] } });
  return [
    issuer(main, 'main', { envelope_keys: envelope_keys(main), replay: 'token' }),
    issuer(reusing, 'reusing', { envelope_keys: envelope_keys(reusing), replay: 'envelope' }),
    issuer(keyless, 'keyless', {}),
    tenant('rated', { rate_limit: { calls: 1, per_seconds: 600 } }),
    tenant('narrow', { max_concurrency: 1 }),
    tenant('suspended', { suspended: true }),
    api('upstream'),
    api('hasty', { timeout_ms: 200 }),
    api('small', { max_response_bytes: 1_024 }),
    api('walled', { egress: { allow_private: false } }),
    api('locked', { credential }),
    api('sealed', { credential, egress: { allow_private: false } }),
    tool(GOOD_TOOL),
    tool('plain.denied'),
    tool('plain.held', '/held'),
    tool('plain.hasty', '/held', 'hasty'),
    tool('plain.broken', '/broken'),
    tool('plain.failing', '/failing'),
    tool('plain.nested', '/nested'),
    tool('plain.large', '/large', 'small'),
    tool('plain.walled', '/ok', 'walled'),
    tool('plain.locked', '/ok', 'locked'),
    tool('plain.sealed', '/ok', 'sealed'),
    {
      kind: 'ToolWorkflow',
      name: 'plain.invalid',
      spec: {
        description: 'Its operation does not exist.',
        api_spec: 'upstream',
        steps: [{ name: 'only', operation_id: 'noSuchOperation' }],
      },
    },
    tool('file.read'),
    tool('ops.run'),
    tool('web.get'),
    tool('mail.send'),
    tool('rated.call'),
    tool('brief.call', '/large'),
    tool('unlisted.call'),
    {
      kind: 'CliTool',
      name: 'plain.cli',
      spec: {
        description: 'A command.',
        image: 'tools/cli:1',
        command: ['cli'],
        allowed_subcommands: ['get'],
      },
    },
    {
      kind: 'SecurityContext',
      name: 'main',
      spec: {
        deny_list: ['plain.denied', 'rated.call:/etc/*'],
        capabilities: [
          { tool_pattern: 'plain.*' },
          { tool_pattern: 'file.read', path_allowlist: ['/workspace/*'] },
          { tool_pattern: 'ops.run', command_allowlist: ['get'] },
          { tool_pattern: 'web.get', domain_allowlist: ['example.com'] },
          {
            tool_pattern: 'mail.send',
            arguments: { required: ['to'], properties: { to: { const: 'ada' } } },
          },
          {
            tool_pattern: 'rated.call',
            arguments: { properties: { to: { const: 'ada' } } },
            rate_limit: { calls: 1, per_seconds: 600 },
          },
          { tool_pattern: 'brief.call', max_response_size: 1_024 },
        ],
      },
    },
    // Sound, but no issuer allows it.
    { kind: 'SecurityContext', name: 'other', spec: { capabilities: [{ tool_pattern: '*' }] } },
  ];
}
