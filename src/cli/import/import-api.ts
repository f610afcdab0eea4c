/** The ApiSpec of an import, and its document. */
import { posix } from 'node:path';
import type { Manifest, SpecOf } from '../../manifest/manifest.ts';
import { treeFile } from '../../manifest/tree.ts';
import type { DocumentIndex } from '../../openapi/index-document.ts';
import type { Operation, Parameter } from '../../openapi/operation.ts';
import { CliError } from '../output.ts';
import { OPTIONS, SOURCE, STATE } from './annotations.ts';
import { apiManifest, credentialHint } from './api-manifest.ts';
import type { Directory } from './directory.ts';
import { COMMENT, writeYaml } from './edit-yaml.ts';
import { renewManifest } from './renew-manifest.ts';
import type { ImportRequest, Row } from './request.ts';
import { selectOperations } from './select-operations.ts';

export interface ImportedApi {
  readonly name: string;
  readonly prefix: string;
  /** Which operations become tools that are not yet. */
  readonly isWanted: (operation: Operation) => boolean;
  readonly title: string;
  /** Where its credential goes, once somebody has said so. */
  readonly credential: Pick<Parameter, 'in' | 'name'> | null;
  readonly row: Row;
  readonly warnings: readonly string[];
}

/** Puts document and ApiSpec into the directory. Throws CliError when they cannot be made. */
export function importApi(
  directory: Directory,
  request: ImportRequest,
  document: unknown,
  index: DocumentIndex,
): ImportedApi {
  const { tenant, origin } = request;
  const name = request.name ?? nameOfSource(directory, request) ?? nameOfTitle(index.title);
  const identity = { kind: 'ApiSpec', tenant, name } as const;
  const existing = directory.find(identity);
  const options = optionsOf(existing);
  const prefix = request.prefix ?? options.prefix ?? name;
  const operations = request.operations ?? options.operations ?? ['*'];
  const { isWanted, stale } = selectOperations(operations, options.operations ?? ['*'], index);
  const own_base_url = request.base_url ?? options.base_url ?? null;
  const base_url = own_base_url ?? index.server;
  if (base_url === null || !/^https?:/i.test(base_url))
    throw new CliError('the document names no server with a host: say where the API is (--base-url <url>)');
  const file = existing?.file ?? directory.freePath(`${topOf(tenant)}${name}.yaml`);
  const source = sourceOf(directory, request, existing, file, name);
  const generated = apiManifest({
    ...{ name, source, base_url, origin, prefix, operations },
    own_base_url: own_base_url !== null,
  });
  const place = { kind: 'ApiSpec', name, operation: null, file } as const;
  const written = existing === null ? write() : again(existing);
  function write(): Pick<Row, 'action' | 'note'> {
    const hint = credentialHint(document);
    const said =
      hint === null ? '' : `\nThe document asks for a credential: add spec.credential, and ${hint}.`;
    directory.put(file, writeYaml(generated, COMMENT + said));
    return { action: 'created', note: hint === null ? '' : 'needs a credential; its file says which' };
  }
  function again(manifest: Manifest): Pick<Row, 'action' | 'note'> {
    const merged = renewManifest(directory, manifest, generated);
    const isNew = 'file' in source && directory.changed().includes(documentPath(file, source.file));
    if (!isNew) return merged;
    return { action: 'updated', note: ['the document', merged.note].filter(Boolean).join('; ') };
  }
  return {
    ...{ name, prefix, title: index.title, credential: credentialPlaceOf(existing) },
    isWanted,
    row: { ...place, ...written },
    warnings: stale.map((text) => `--operations ${JSON.stringify(text)} names no operation of it any more`),
  };
}

function credentialPlaceOf(existing: Manifest | null): ImportedApi['credential'] {
  const { credential, inject } = (existing?.spec ?? {}) as Partial<SpecOf<'ApiSpec'>>;
  if (credential === undefined || credential.none !== undefined) return null;
  if (inject?.query !== undefined) return { in: 'query', name: inject.query.name };
  return inject?.header === undefined ? null : { in: 'header', name: inject.header.name.toLowerCase() };
}

/** The ApiSpec that was made of this file or URL before. */
function nameOfSource({ set }: Directory, { origin, tenant }: ImportRequest): string | null {
  const made = [...set.found.values()].filter(
    ({ manifest }) =>
      manifest?.kind === 'ApiSpec' && manifest.tenant === tenant && manifest.annotations[SOURCE] === origin,
  );
  return made.length === 1 ? made[0]!.identity.name : null;
}

/** Words of titles that are of every API. */
const COMMON = /^(the|an?|official|apis?|rest|restful|http|openapi|swagger|spec|specification|v?\d+)$/;

function nameOfTitle(title: string): string {
  const words = title
    .toLowerCase()
    .replaceAll("'s", '')
    .split(/[^a-z0-9]+/);
  const telling = words.filter((word) => word !== '' && !COMMON.test(word));
  const name = telling.slice(0, 3).join('-').slice(0, 40);
  if (name === '') throw new CliError('the title of the document gives no name: choose one (--name <api>)');
  return name;
}

interface Remembered {
  readonly prefix?: string;
  readonly operations?: readonly string[];
  readonly base_url?: string;
}

function optionsOf(existing: Manifest | null): Remembered {
  try {
    return JSON.parse(existing?.annotations[OPTIONS] ?? '{}');
  } catch {
    throw new CliError(`the annotation ${OPTIONS} of ApiSpec ${existing?.name} is no JSON; remove it`);
  }
}

/** Where the manifests of a tenant are. */
export function topOf(tenant: string | null): string {
  return tenant === null ? '' : `tenants/${tenant}/`;
}

function documentPath(manifestFile: string, reference: string): string {
  return posix.join(posix.dirname(manifestFile), reference);
}

/** Where the ApiSpec finds the document, which is put there. */
function sourceOf(
  directory: Directory,
  { bytes, url, inside, reference, origin, tenant }: ImportRequest,
  existing: Manifest | null,
  manifestFile: string,
  name: string,
): { file: string } | { url: string; sha256: string } {
  const { digest } = treeFile(origin, bytes);
  const written = (existing?.spec as SpecOf<'ApiSpec'> | undefined)?.source;
  if (existing !== null && existing.annotations[STATE] === undefined) {
    const same = [...existing.data.values()].some((file) => file.digest === digest);
    if (!same && written?.sha256 !== digest)
      throw new CliError(
        `ApiSpec ${name} is there already, in ${existing.file}, and is of another document: choose another --name`,
      );
    return written as { file: string };
  }
  if (reference && url !== null) return { url, sha256: digest };
  const copy = written?.file === undefined ? null : documentPath(manifestFile, written.file);
  const ending = /^[\s\uFEFF]*\{/.test(bytes.toString('utf8', 0, 1024)) ? 'json' : 'yaml';
  const path = inside ?? copy ?? directory.freePath(`${topOf(tenant)}${name}.openapi.${ending}`);
  if (inside === null) directory.put(path, bytes);
  const file = posix.relative(posix.dirname(manifestFile), path);
  return { file: file.startsWith('.') ? file : `./${file}` };
}
