/** One manifest: who it is, what it says, and where each part of it was written. */
import { hash } from 'node:crypto';
import { type Diagnostic, errorAt } from './diagnostic.ts';
import type { Kind } from './kind.ts';
import { type Located, locate } from './position.ts';
import type { TreeFile } from './tree.ts';
import type { AnyManifest } from './types.ts';

/** What `spec` holds in a manifest of this kind. */
export type SpecOf<K extends Kind> = Extract<AnyManifest, { kind: K }>['spec'];

/** Identity: the file is not part of it, so moving a file changes nothing. */
export interface Identity<K extends Kind = Kind> {
  readonly kind: K;
  /** null: global. */
  readonly tenant: string | null;
  readonly name: string;
}

/** A manifest that fits the schema of its kind. */
export interface Manifest<K extends Kind = Kind> extends Identity<K> {
  readonly key: string;
  readonly spec: SpecOf<K>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Path of its file below the root. */
  readonly file: string;
  readonly document: Located;
  /** Files that it refers to, by the text of the reference. */
  readonly data: ReadonlyMap<string, TreeFile>;
  /** Lower-case hex SHA-256 of its content and that of the files it refers to. */
  readonly digest: string;
}

/** A manifest that was found, valid or not. */
export interface Found {
  readonly identity: Identity;
  readonly key: string;
  readonly file: string;
  /** Where it begins. */
  readonly line: number;
  readonly column: number;
  /** null: it has errors. */
  readonly manifest: Manifest | null;
  /** Of one with errors what fits the schema by itself, to look for further mistakes in; never applied. */
  readonly part?: Manifest;
  readonly diagnostics: readonly Diagnostic[];
}

/** `kind/tenant/name`; a global one has an empty tenant. */
export function keyOf({ kind, tenant, name }: Identity): string {
  return `${kind}/${tenant ?? ''}/${name}`;
}

/** For people: `ToolWorkflow acme/customer.find`. */
export function nameOf({ kind, tenant, name }: Identity): string {
  return `${kind} ${tenant === null ? name : `${tenant}/${name}`}`;
}

/** Key order is the author's: a manifest whose keys are in another order is another text of the same thing. */
export function digestContent(value: unknown): string {
  return hash('sha256', JSON.stringify(sorted(value)), 'hex');
}

/** The digest of a manifest whose own content has this digest. */
export function digestWithData(content: string, data: ReadonlyMap<string, TreeFile>): string {
  if (data.size === 0) return content;
  const files = [...data].map(([reference, file]) => [reference, file.digest]);
  return hash('sha256', JSON.stringify([content, files]), 'hex');
}

/** A diagnostic at a JSON pointer of a manifest. */
export function diagnosticAt(
  manifest: Pick<Manifest, 'file' | 'document'>,
  pointer: string,
  rule: string,
  message: string,
  options: {
    readonly hint?: string | null;
    readonly at?: 'key' | 'value';
    readonly severity?: Diagnostic['severity'];
  } = {},
): Diagnostic {
  const position = locate(manifest.document, pointer, options.at ?? 'value');
  const diagnostic = errorAt(manifest.file, position, rule, message, options.hint ?? null);
  return { ...diagnostic, severity: options.severity ?? 'error' };
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}
