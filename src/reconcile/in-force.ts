/** Every manifest in force, for another program that compiles the same: `plan` against a running gateway. */
import { hash } from 'node:crypto';
import { locate } from '../manifest/position.ts';
import type { Applied, AppliedSet, CompileDeps, Verdict } from './compile.ts';
import { type LastGoodRow, restoreLastGood } from './last-good.ts';
import type { Side } from './plan.ts';

/** As `GET /v1/manifests` answers it: a last good set that holds each manifest as JSON. */
export interface ManifestsInForce {
  readonly revision: string | null;
  readonly rows: readonly LastGoodRow[];
  /** Content of files by SHA-256. */
  readonly contents: Readonly<Record<string, string>>;
}

/** {@link ManifestsInForce} as JSON, piece by piece: 10,000 manifests are not to be in the way of calls. */
export function* writeInForce(applied: AppliedSet, revision: string | null): Generator<string> {
  yield `{"revision":${JSON.stringify(revision)},"rows":[`;
  let comma = '';
  for (const [key, { manifest }] of applied) {
    const digest = hash('sha256', textOf(manifest), 'hex');
    const data = [...manifest.data].map(([reference, file]) => [reference, file.path, file.digest] as const);
    const row: LastGoodRow = { key, file: manifest.file, digest, data, manifest: manifest.digest };
    yield `${comma}${JSON.stringify(row)}`;
    comma = ',';
  }
  yield '],"contents":{';
  comma = '';
  const written = new Set<string>();
  for (const { manifest } of applied.values()) {
    const text = textOf(manifest);
    const files = [...manifest.data.values()].map(
      ({ digest, bytes }) => [digest, bytes.toString('utf8')] as const,
    );
    for (const [digest, content] of [[hash('sha256', text, 'hex'), text] as const, ...files]) {
      if (written.has(digest)) continue;
      written.add(digest);
      yield `${comma}${JSON.stringify(digest)}:${JSON.stringify(content)}`;
      comma = ',';
    }
  }
  yield '}}';
}

/** What a gateway that answered so has in force, compiled anew. */
export async function sideInForce(
  { revision, rows, contents }: ManifestsInForce,
  deps: CompileDeps,
): Promise<Side> {
  const applied = await restoreLastGood({ rows, contents: new Map(Object.entries(contents)) }, deps);
  const verdicts = new Map([...applied].map(([key, one]) => [key, verdictOf(key, one)]));
  return { verdicts, diagnostics: [], revision: revision ?? '' };
}

function verdictOf(key: string, applied: Applied): Verdict {
  const { kind, tenant, name, file, digest, document } = applied.manifest;
  const place = { file, ...locate(document, '') };
  const identity = { kind, tenant, name };
  return { identity, key, ...place, digest, status: 'Ready', diagnostics: [], applied };
}

/** JSON is YAML. */
function textOf({ document }: Applied['manifest']): string {
  return JSON.stringify(document.value);
}
