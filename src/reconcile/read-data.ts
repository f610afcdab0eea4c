/** Key sets, written in a manifest or in a file that it refers to. */
import type { Manifest } from '../manifest/manifest.ts';
import { parseFile } from '../manifest/parse.ts';
import { type Located, locate } from '../manifest/position.ts';
import type { TreeFile } from '../manifest/tree.ts';
import { type KeySetSchema, validateKeySet } from '../manifest/validate.ts';
import { Fault, type Problems } from './problems.ts';

export interface KeySetSource {
  readonly inline?: unknown;
  readonly file?: string | undefined;
}

/** What `use` makes of a key set; null: see the problems. Those of a file are told with their place in that file. */
export function useKeySet<T>(
  schema: KeySetSchema,
  { data }: Pick<Manifest, 'data'>,
  pointer: string,
  { inline, file }: KeySetSource,
  problems: Problems,
  use: (keySet: unknown) => T,
): T | null {
  if (inline !== undefined) return problems.attempt(`${pointer}/inline`, 'bad-key', () => use(inline));
  const source = data.get(file!)!;
  const at = `${pointer}/file`;
  const document = readKeySet(schema, source, (message) => problems.error(at, 'bad-key', message));
  if (document === null) return null;
  return problems.attempt(at, 'bad-key', () => {
    try {
      return use(document.value);
    } catch (error) {
      const { pointer: within, message } =
        error instanceof Fault ? error : new Fault((error as Error).message);
      throw new Error(placed(source, document, within, message));
    }
  });
}

function readKeySet(schema: KeySetSchema, file: TreeFile, report: (message: string) => void): Located | null {
  const { documents, diagnostics } = parseFile(file.path, file.bytes);
  for (const { line, column, message } of diagnostics) report(`${file.path}:${line}:${column}: ${message}`);
  if (diagnostics.length > 0) return null;
  const [document] = documents;
  if (document === undefined || documents.length > 1) {
    report(`${file.path} holds ${documents.length} documents, not one key set`);
    return null;
  }
  const violations = validateKeySet(schema, document.value);
  for (const { pointer, message } of violations) report(placed(file, document, pointer, message));
  return violations.length === 0 ? document : null;
}

function placed(file: TreeFile, document: Located, pointer: string, message: string): string {
  const { line, column } = locate(document, pointer);
  return `${file.path}:${line}:${column}: ${message}`;
}
