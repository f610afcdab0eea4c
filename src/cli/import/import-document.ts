/** From an OpenAPI document to manifests in a directory: what is made, changed, kept and left out, and why. */
import { type Diagnostic, formatDiagnostic } from '../../manifest/diagnostic.ts';
import { type Identity, keyOf } from '../../manifest/manifest.ts';
import { treeFile } from '../../manifest/tree.ts';
import { readDocument } from '../../openapi/document.ts';
import { DocumentError } from '../../openapi/document-error.ts';
import { type DocumentIndex, indexDocument } from '../../openapi/index-document.ts';
import { sideOfTree } from '../local-side.ts';
import { CliError } from '../output.ts';
import type { Directory } from './directory.ts';
import { type ImportedApi, importApi } from './import-api.ts';
import { importTools } from './import-tools.ts';
import type { Imported, ImportRequest, Row } from './request.ts';

/** Changes `directory` in memory. Rejects with CliError when nothing can be made of the document. */
export async function importDocument(directory: Directory, request: ImportRequest): Promise<Imported> {
  const { document, index } = readAll(request);
  const api = importApi(directory, request, document, index);
  const rows = [api.row, ...leftOut(index), ...importTools(directory, request, api, document, index)];
  const checked = await check(directory, request, api, rows);
  const order = (row: Row): string => `${row.kind} ${row.name ?? row.operation ?? ''}`;
  return {
    api: api.name,
    prefix: api.prefix,
    rows: checked.sort((a, b) => (order(a) < order(b) ? -1 : 1)),
    warnings: [
      ...api.warnings,
      ...index.problems
        .filter(({ operation_id }) => operation_id === null)
        .map(({ pointer, message }) => `${pointer === '' ? 'the document' : pointer}: ${message}`),
    ],
  };
}

function readAll({ bytes, origin, url }: ImportRequest): { document: unknown; index: DocumentIndex } {
  try {
    const document = readDocument(bytes);
    return { document, index: indexDocument(document, url === null ? {} : { url }) };
  } catch (error) {
    if (error instanceof DocumentError) throw new CliError(`${origin}: ${error.message}`);
    throw error;
  }
}

function leftOut(index: DocumentIndex): Row[] {
  return index.problems
    .filter(({ operation_id }) => operation_id !== null)
    .map(({ operation_id, message }) => ({
      action: 'skipped',
      kind: 'ToolWorkflow',
      ...{
        name: null,
        operation: operation_id,
        file: null,
        note: message.replace(/^operation .*? is left out: /, ''),
      },
    }));
}

/** What the gateway would say of it all. New tools that it would not take are left out. */
async function check(
  directory: Directory,
  { bytes, origin, tenant }: ImportRequest,
  api: ImportedApi,
  rows: readonly Row[],
): Promise<Row[]> {
  const document = treeFile(origin, bytes);
  const side = await sideOfTree(directory.tree(), { documents: new Map([[document.digest, document]]) });
  const said = (severity: Diagnostic['severity'], identity: Identity): Diagnostic[] =>
    (side.verdicts.get(keyOf(identity))?.diagnostics ?? []).filter((one) => one.severity === severity);
  const apiErrors = said('error', { kind: 'ApiSpec', tenant, name: api.name }).map(formatDiagnostic);
  if (apiErrors.length > 0)
    throw new CliError(`the ApiSpec would not be valid:\n  ${apiErrors.join('\n  ')}`);
  return rows.map((row) => {
    if (row.kind === 'ApiSpec' || row.name === null || row.action === 'removed' || row.action === 'vanished')
      return row;
    const identity: Identity = { kind: 'ToolWorkflow', tenant, name: row.name };
    const [error] = said('error', identity);
    if (row.file === null) return row;
    if (error === undefined) {
      const notes = [row.note, ...said('warning', identity).map(({ message }) => message)];
      return { ...row, note: notes.filter(Boolean).join('; ') };
    }
    if (row.action !== 'created') return { ...row, action: 'invalid', note: formatDiagnostic(error) };
    directory.restore(row.file);
    return { ...row, action: 'skipped', file: null, note: error.message };
  });
}
