/**
 * OpenAPI documents that ApiSpecs name by URL and digest: data of the manifest like a file beside it, but from elsewhere.
 * The digest is in the manifest, so whoever has content of that digest has the document, wherever it came from.
 */
import { isIP } from 'node:net';
import { compareDiagnostics, type Diagnostic } from '../manifest/diagnostic.ts';
import type { ManifestSet } from '../manifest/load.ts';
import { diagnosticAt, type Found, type Manifest } from '../manifest/manifest.ts';
import { type TreeFile, treeFile } from '../manifest/tree.ts';
import type { Api } from '../snapshot/snapshot.ts';
import type { AppliedSet } from './compile.ts';

export interface RemoteDocument {
  readonly url: string;
  /** Of its content, in lower-case hex. */
  readonly sha256: string;
  /** Which addresses may be asked for it. */
  readonly egress: Api['egress'];
}

/** Why a document is not here. As a warning, its ApiSpec is compiled without it, and its operations are not checked. */
export interface Absent extends Pick<Diagnostic, 'severity' | 'rule' | 'message' | 'hint'> {
  /** The field of `source` to blame. */
  readonly field: 'url' | 'sha256';
}

export type FindDocument = (document: RemoteDocument) => TreeFile | Absent;

/** null: the document of this manifest is not elsewhere, or it is no ApiSpec. */
export function remoteDocument({ kind, spec }: Pick<Manifest, 'kind' | 'spec'>): RemoteDocument | null {
  if (kind !== 'ApiSpec') return null;
  const { source, egress } = spec as Manifest<'ApiSpec'>['spec'];
  const { url, sha256 } = source;
  return url === undefined || sha256 === undefined ? null : { url, sha256, egress: egressTo(url, egress) };
}

/** The rules of the ApiSpec, for the host of its document. */
function egressTo(url: string, written: Manifest<'ApiSpec'>['spec']['egress']): Api['egress'] {
  const hosts = (written?.allow_hosts ?? []).map(bareHost);
  const own = bareHost(new URL(url).hostname);
  return {
    allow_private: (written?.allow_private ?? false) || (isIP(own) === 0 && hosts.includes(own)),
    allow_addresses: hosts.filter((host) => isIP(host) !== 0),
  };
}

/** A host as it is compared: in lower case, an IPv6 address without its brackets. */
export function bareHost(host: string): string {
  return host.toLowerCase().replace(/^\[|\]$/g, '');
}

/** For as long as a manifest is remembered, it is not made anew with the same document. */
const complete = new WeakMap<Found, Found>();

/** The set with the documents that are elsewhere. An ApiSpec that cannot be had without its document is bad. */
export function withDocuments(set: ManifestSet, find: FindDocument): ManifestSet {
  let found: Map<string, Found> | null = null;
  for (const [key, one] of set.found) {
    const document = one.manifest === null ? null : remoteDocument(one.manifest);
    if (document === null) continue;
    found ??= new Map(set.found);
    found.set(key, withDocument(one, document, find(document)));
  }
  return found === null ? set : { ...set, found };
}

function withDocument(found: Found, { url }: RemoteDocument, document: TreeFile | Absent): Found {
  const manifest = found.manifest!;
  if ('bytes' in document) {
    const known = complete.get(found);
    if (known?.manifest?.data.get(url)?.digest === document.digest) return known;
    const whole = { ...found, manifest: { ...manifest, data: new Map([[url, document]]) } };
    complete.set(found, whole);
    return whole;
  }
  const { field, rule, message, hint, severity } = document;
  const told = diagnosticAt(manifest, `/spec/source/${field}`, rule, message, { hint, severity });
  const diagnostics = [...found.diagnostics, told].sort(compareDiagnostics);
  return { ...found, diagnostics, manifest: severity === 'error' ? null : manifest };
}

/** The documents that manifests in force have, by digest. */
export function documentsIn(inForce: AppliedSet): Map<string, TreeFile> {
  const documents = new Map<string, TreeFile>();
  for (const { manifest } of inForce.values()) {
    const document = remoteDocument(manifest);
    const file = document === null ? undefined : manifest.data.get(document.url);
    if (file !== undefined) documents.set(file.digest, file);
  }
  return documents;
}

/** Content with the digest that a manifest names, as the data of that manifest. */
export function asData({ url }: RemoteDocument, content: Buffer | TreeFile): TreeFile {
  if (!('bytes' in content)) return treeFile(url, content);
  return content.path === url ? content : { ...content, path: url };
}

/** Whether a file that a manifest has as data is from elsewhere: no path below the root looks like this. */
export function isRemote({ path }: TreeFile): boolean {
  return /^https?:\/\//.test(path);
}

/** Nothing was fetched: what a command says that works offline. */
export const NOT_FETCHED: Absent = {
  severity: 'warning',
  rule: 'document-not-fetched',
  field: 'url',
  message: 'the document is not fetched here, so its operations were not checked',
  hint: 'add --fetch to fetch it',
};
