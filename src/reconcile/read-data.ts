/** Reads the files that manifests refer to. */
import { parseFile } from '../manifest/parse.ts';
import type { TreeFile } from '../manifest/tree.ts';
import { type KeySetSchema, validateKeySet } from '../manifest/validate.ts';

/** A key set that is a file of its own. Throws an Error that says where in that file the fault is. */
export function readKeySet(schema: KeySetSchema, file: TreeFile): unknown {
  const { documents, diagnostics } = parseFile(file.path, file.bytes);
  const [first] = diagnostics;
  if (first !== undefined) throw new Error(`${first.file}:${first.line}:${first.column}: ${first.message}`);
  if (documents.length !== 1)
    throw new Error(`${file.path} holds ${documents.length} documents, not one key set`);
  const { value } = documents[0]!;
  const [violation] = validateKeySet(schema, value);
  if (violation !== undefined) throw new Error(`${file.path}: ${violation.message}`);
  return value;
}
