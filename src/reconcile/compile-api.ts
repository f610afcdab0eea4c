/** ApiSpec manifests -> APIs of the snapshot, with the index of their OpenAPI documents. */
import { isIP } from 'node:net';
import { compileAddressPolicy } from '../execute/address.ts';
import type { Manifest, SpecOf } from '../manifest/manifest.ts';
import { pointerTo } from '../manifest/position.ts';
import { DocumentError } from '../openapi/document-error.ts';
import type { DocumentIndex } from '../openapi/index-document.ts';
import type { Operation } from '../openapi/operation.ts';
import { compileValuePattern, matchesAny } from '../policy/match.ts';
import type { Api, CredentialRef, ExploredApi, Inject, Matcher } from '../snapshot/snapshot.ts';
import { checkTransport } from './check-credential.ts';
import { checkInject, checkSent } from './check-sent.ts';
import { compileExplored } from './compile-explorer.ts';
import { retryRule } from './compile-repeat.ts';
import { type IndexFile, indexInline } from './document-cache.ts';
import type { Problems } from './problems.ts';
import { bareHost, remoteDocument } from './remote-documents.ts';

export interface CompiledApi {
  readonly api: Api;
  readonly operations: ReadonlyMap<string, Operation>;
  /** Why an operation of the document cannot be used, by operation id. */
  readonly left_out: ReadonlyMap<string, string>;
  /** The document is not here: any operation may be in it. Only commands that work offline have such an API. */
  readonly unchecked: boolean;
  readonly explored: ExploredApi;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_MAX_RESPONSE_BYTES = 10 * 1024 * 1024;
/** Warnings about one document; the rest is counted. */
const MAX_TOLD = 20;

/** null: see the problems. A bad operation is told and left out; it does not reject the document. */
export function compileApi(
  manifest: Manifest<'ApiSpec'>,
  problems: Problems,
  indexFile: IndexFile,
): CompiledApi | null {
  const { spec, name, tenant } = manifest;
  const unchecked = isUnchecked(manifest);
  const index = unchecked ? NO_DOCUMENT : readSource(manifest, problems, indexFile);
  if (index === null) return null;
  const { pointer, left_out } = tellLeftOut(manifest, index, problems);
  const base_url = baseUrl(spec, index, pointer, problems);
  const allow_slash = (spec.allow_slash ?? []).map((text, at) =>
    problems.attempt(`/spec/allow_slash/${at}`, 'bad-pattern', () => compileValuePattern(text)),
  );
  if (base_url === null) return null;
  checkTransport(spec, base_url, problems);
  const matchers = allow_slash.filter((matcher): matcher is Matcher => matcher !== null);
  const api: Api = {
    name,
    tenant,
    base_url,
    headers: Object.fromEntries(
      Object.entries(spec.headers ?? {}).map(([key, value]) => [key.toLowerCase(), value]),
    ),
    timeout_ms: spec.timeout_ms ?? DEFAULT_TIMEOUT_MS,
    max_response_bytes: spec.max_response_bytes ?? DEFAULT_MAX_RESPONSE_BYTES,
    egress: egressOf(spec, base_url, spec.base_url === undefined ? pointer : '/spec/base_url', problems),
    credential: credentialOf(spec.credential),
    inject: injectOf(spec.inject),
    allow_slash: (id) => matchesAny(matchers, id),
    retry: retryRule(spec.retry),
  };
  checkSent({ headers: spec.headers ?? {} }, '/spec', api, problems);
  checkInject(api, problems);
  const explored = compileExplored(spec, api, index.operations, problems);
  return { api, operations: index.operations, left_out, unchecked, explored };
}

function readSource(
  manifest: Manifest<'ApiSpec'>,
  problems: Problems,
  indexFile: IndexFile,
): DocumentIndex | null {
  const { file, inline, url } = manifest.spec.source;
  if (inline !== undefined)
    return problems.attempt('/spec/source/inline', 'bad-document', () => indexInline(inline));
  const data = manifest.data.get((file ?? url)!)!;
  return problems.attempt(pointerOf(manifest), 'bad-document', () => {
    try {
      return indexFile(data);
    } catch (error) {
      throw new Error(`${data.path}:${saidOf(error)}`);
    }
  });
}

function isUnchecked(manifest: Manifest<'ApiSpec'>): boolean {
  const document = remoteDocument(manifest);
  return document !== null && !manifest.data.has(document.url);
}

/** Stands in for a document that was not fetched. */
const NO_DOCUMENT: DocumentIndex = {
  title: '',
  version: '',
  server: 'http://document-not-fetched.invalid',
  operations: new Map(),
  problems: [],
};

/** The field that says where the document is. */
function pointerOf({ spec: { source } }: Manifest<'ApiSpec'>): string {
  return `/spec/source/${source.inline !== undefined ? 'inline' : source.url !== undefined ? 'url' : 'file'}`;
}

/** What is wrong with a document, with its line and column where it has them. */
function saidOf(error: unknown): string {
  if (!(error instanceof DocumentError) || error.line === null) return ` ${(error as Error).message}`;
  return `${error.line}:${error.column}: ${error.message.replace(/^line \d+, column \d+: /, '')}`;
}

function tellLeftOut(manifest: Manifest<'ApiSpec'>, index: DocumentIndex, problems: Problems) {
  const pointer = pointerOf(manifest);
  const left_out = new Map<string, string>();
  const document = manifest.spec.source.file ?? 'the document';
  for (const [count, { operation_id, pointer: at, message }] of index.problems.entries()) {
    if (operation_id !== null)
      left_out.set(operation_id, message.replace(/^operation .*? is left out: /, ''));
    if (count < MAX_TOLD) problems.warn(pointer, 'bad-operation', `${document}, at ${at}: ${message}`);
  }
  const more = index.problems.length - MAX_TOLD;
  if (more > 0) problems.warn(pointer, 'bad-operation', `${more} more problems in this document`);
  return { pointer, left_out };
}

function baseUrl(
  spec: SpecOf<'ApiSpec'>,
  index: DocumentIndex,
  pointer: string,
  problems: Problems,
): URL | null {
  const text = spec.base_url ?? index.server;
  const at = spec.base_url === undefined ? pointer : '/spec/base_url';
  if (text === null || !/^https?:/i.test(text) || !URL.canParse(text)) {
    problems.error(
      at,
      'bad-base-url',
      text === null
        ? 'the document names no server'
        : `the server ${JSON.stringify(text)} is no absolute http or https URL`,
      'give base_url',
    );
    return null;
  }
  const url = new URL(text);
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    problems.error(
      at,
      'bad-base-url',
      'the base URL holds a user, a query or a fragment',
      'give base_url without them',
    );
    return null;
  }
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}

/** A listed name lifts the limits for the hosts of the API and of its document alone: requests go nowhere else. */
function egressOf(spec: SpecOf<'ApiSpec'>, base: URL, pointer: string, problems: Problems): Api['egress'] {
  const hosts = (spec.egress?.allow_hosts ?? []).map(bareHost);
  const own = bareHost(base.hostname);
  const { url } = spec.source;
  const documentHost = url === undefined ? null : bareHost(new URL(url).hostname);
  for (const [index, host] of hosts.entries()) {
    if (isIP(host) !== 0 || host === own || host === documentHost) continue;
    problems.warn(
      pointerTo('/spec/egress/allow_hosts', index),
      'unused-host',
      `${host} is not the host of this API, which is ${own}`,
    );
  }
  const policy = {
    allow_private:
      (spec.egress?.allow_private ?? false) || hosts.some((host) => isIP(host) === 0 && host === own),
    allow_addresses: hosts.filter((host) => isIP(host) !== 0),
    plain_http_credentials: spec.egress?.plain_http_credentials ?? false,
  };
  if (isIP(own) !== 0 && !compileAddressPolicy(policy)(own)) tellBlocked(own, policy, pointer, problems);
  return policy;
}

/** An address that is written out is judged now, and not at the first call; a name only when it is looked up. */
function tellBlocked(address: string, policy: Api['egress'], pointer: string, problems: Problems): void {
  const isPrivate = compileAddressPolicy({ ...policy, allow_private: true })(address);
  const [what, hint] = isPrivate
    ? ['private or of this machine', 'if it is meant, write egress: {allow_private: true}']
    : [
        'link-local, a metadata service or not for general use',
        `if it is meant, write egress: {allow_hosts: ["${address}"]}`,
      ];
  problems.warn(pointer, 'blocked-address', `every call will be refused: ${address} is ${what}`, hint);
}

/** The form of a credential as the snapshot has it. */
export function credentialOf(written: SpecOf<'ApiSpec'>['credential']): CredentialRef {
  const { static_ref, system_jit, human_delegated, auto, user_bound } = written ?? {};
  if (static_ref !== undefined) return { kind: 'static_ref', ...static_ref };
  if (system_jit !== undefined) return { kind: 'system_jit', ...system_jit };
  if (human_delegated !== undefined) return { kind: 'human_delegated', ...human_delegated };
  if (user_bound !== undefined) return { kind: 'user_bound', ...user_bound };
  if (auto === undefined) return { kind: 'none' };
  return {
    kind: 'auto',
    system_jit: { kind: 'system_jit', ...auto.system_jit },
    human_delegated: { kind: 'human_delegated', ...auto.human_delegated },
  };
}

function injectOf(written: SpecOf<'ApiSpec'>['inject']): Inject {
  const { basic, header, query } = written ?? {};
  if (basic !== undefined) {
    return {
      kind: 'basic',
      username_field: basic.username_field ?? 'username',
      password_field: basic.password_field ?? 'password',
    };
  }
  if (header !== undefined) return { kind: 'header', name: header.name, prefix: header.prefix ?? '' };
  return query === undefined ? { kind: 'bearer' } : { kind: 'query', name: query.name };
}
