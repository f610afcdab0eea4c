/** SecurityContext, Tenant and TokenIssuer manifests -> rights of the snapshot. */
import type { Manifest } from '../manifest/manifest.ts';
import { pointerTo } from '../manifest/position.ts';
import {
  compileDenyRule,
  compileDomainPattern,
  compilePathPattern,
  compileToolPattern,
  compileValuePattern,
} from '../policy/match.ts';
import type {
  Capability,
  DenyRule,
  Issuer,
  Matcher,
  SecurityContext,
  Tenant,
  TokenKeys,
} from '../snapshot/snapshot.ts';
import { compileSchema } from './json-schema.ts';
import { localEnvelopeKeys, localKeys, type RemoteKeysDeps, remoteKeys } from './keys.ts';
import type { Problems } from './problems.ts';
import { useKeySet } from './read-data.ts';

export function compileContext(
  { spec, name, tenant }: Manifest<'SecurityContext'>,
  problems: Problems,
): SecurityContext {
  const deny = (spec.deny_list ?? []).map((text, index) =>
    problems.attempt(`/spec/deny_list/${index}`, 'bad-pattern', () => compileDenyRule(text)),
  );
  return {
    name,
    tenant,
    deny: deny.filter((rule): rule is DenyRule => rule !== null),
    capabilities: spec.capabilities.map((_, index) => compileCapability(spec, index, problems)),
    audit_arguments: spec.audit_arguments ?? false,
  };
}

function compileCapability(
  spec: Manifest<'SecurityContext'>['spec'],
  index: number,
  problems: Problems,
): Capability {
  const written = spec.capabilities[index]!;
  const pointer = `/spec/capabilities/${index}`;
  const list = (
    field: 'path_allowlist' | 'command_allowlist' | 'subcommand_allowlist' | 'domain_allowlist',
    compile: (text: string) => Matcher,
  ) => patterns(written[field], `${pointer}/${field}`, compile, problems);
  const schema =
    written.arguments === undefined
      ? null
      : problems.attempt(`${pointer}/arguments`, 'bad-schema', () => compileSchema(written.arguments!));
  return {
    index,
    tool_pattern: written.tool_pattern,
    tool:
      problems.attempt(`${pointer}/tool_pattern`, 'bad-pattern', () =>
        compileToolPattern(written.tool_pattern),
      ) ?? (() => false),
    path_allowlist: list('path_allowlist', compilePathPattern),
    command_allowlist: list('command_allowlist', compileValuePattern),
    subcommand_allowlist: list('subcommand_allowlist', compileValuePattern),
    domain_allowlist: list('domain_allowlist', compileDomainPattern),
    arguments: schema?.fits ?? null,
    rate_limit: written.rate_limit ?? null,
    max_response_size: written.max_response_size ?? null,
    allow_human_delegated: written.allow_human_delegated ?? false,
    path_arguments: written.path_arguments ?? ['path'],
    url_arguments: written.url_arguments ?? ['url'],
  };
}

export function compileTenant({ spec, name }: Manifest<'Tenant'>, problems: Problems): Tenant {
  return {
    name,
    display_name: spec.display_name,
    suspended: spec.suspended ?? false,
    rate_limit: spec.rate_limit ?? null,
    max_concurrency: spec.max_concurrency ?? null,
    openbao_namespace: spec.openbao_namespace,
    allowed_security_contexts: patterns(
      spec.allowed_security_contexts,
      '/spec/allowed_security_contexts',
      compileContextPattern,
      problems,
    ),
  };
}

/** `remote` keeps one key source for each URL across reconciles, so that its cache outlives a snapshot. */
export function compileIssuer(
  manifest: Manifest<'TokenIssuer'>,
  problems: Problems,
  remote: (url: string, algorithms: readonly string[]) => TokenKeys,
): Issuer | null {
  const { spec, name, tenant } = manifest;
  const algorithms = spellings(spec.algorithms);
  const keys = compileTokenKeys(manifest, algorithms, problems, remote);
  const envelope_keys = compileEnvelopeKeys(manifest, problems);
  if (keys === null) return null;
  return {
    name,
    tenant,
    issuer: spec.issuer,
    audience: [spec.audience].flat(),
    algorithms,
    keys,
    envelope_keys,
    replay: spec.replay ?? 'token',
    default_security_context: spec.default_security_context ?? null,
    allowed_tenants: spec.allowed_tenants ?? null,
    allowed_security_contexts: patterns(
      spec.allowed_security_contexts,
      '/spec/allowed_security_contexts',
      compileContextPattern,
      problems,
    ),
    max_token_ttl_seconds: spec.max_token_ttl_seconds ?? 86_400,
  };
}

/** Key sources by URL and algorithms, kept for the life of the process. */
export function createRemoteKeySets(
  deps: RemoteKeysDeps,
): (url: string, algorithms: readonly string[]) => TokenKeys {
  const sets = new Map<string, TokenKeys>();
  return (url, algorithms) => {
    const key = JSON.stringify([url, algorithms]);
    const known = sets.get(key) ?? remoteKeys(url, algorithms, deps);
    sets.set(key, known);
    return known;
  };
}

function compileTokenKeys(
  manifest: Manifest<'TokenIssuer'>,
  algorithms: readonly string[],
  problems: Problems,
  remote: (url: string, algorithms: readonly string[]) => TokenKeys,
): TokenKeys | null {
  const { jwks } = manifest.spec;
  const { url } = jwks;
  if (url !== undefined) return problems.attempt('/spec/jwks/url', 'bad-key', () => remote(url, algorithms));
  return useKeySet('Jwks', manifest, '/spec/jwks', jwks, problems, (keySet) => localKeys(keySet, algorithms));
}

function compileEnvelopeKeys(manifest: Manifest<'TokenIssuer'>, problems: Problems): Issuer['envelope_keys'] {
  const source = manifest.spec.envelope_keys;
  if (source === undefined) return [];
  if (source.url !== undefined) {
    const hint = 'use file or inline; tokens may also carry their own key (cnf)';
    problems.error(
      '/spec/envelope_keys/url',
      'unsupported',
      'envelope keys are not fetched from a URL',
      hint,
    );
    return [];
  }
  const pointer = '/spec/envelope_keys';
  return useKeySet('EnvelopeJwks', manifest, pointer, source, problems, localEnvelopeKeys) ?? [];
}

/** `EdDSA` and `Ed25519` are two names of one algorithm, and tokens come with either. */
function spellings(algorithms: readonly string[]): string[] {
  const all = algorithms.flatMap((name) =>
    name === 'EdDSA' || name === 'Ed25519' ? ['EdDSA', 'Ed25519'] : [name],
  );
  return [...new Set(all)];
}

/** The names of contexts are patterns of the same form as those of tools. */
function compileContextPattern(text: string): Matcher {
  try {
    return compileToolPattern(text);
  } catch (error) {
    throw new Error((error as Error).message.replace('tool pattern', 'context pattern'));
  }
}

function patterns(
  texts: readonly string[] | undefined,
  pointer: string,
  compile: (text: string) => Matcher,
  problems: Problems,
): Matcher[] | null {
  if (texts === undefined) return null;
  return texts.flatMap(
    (text, index) => problems.attempt(pointerTo(pointer, index), 'bad-pattern', () => compile(text)) ?? [],
  );
}
