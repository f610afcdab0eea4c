/** `seal-gateway import openapi`: manifests from an OpenAPI document, ready for a pull request. */
import { readFileSync, realpathSync } from 'node:fs';
import { basename, relative, sep } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { GatewayError } from '../errors.ts';
import { download } from '../execute/download.ts';
import { createEgress } from '../execute/egress.ts';
import { isManifestFile } from '../manifest/tree.ts';
import { MAX_DOCUMENT_BYTES } from '../openapi/document.ts';
import { packageVersion } from '../version.ts';
import { openDirectory } from './import/directory.ts';
import { importDocument } from './import/import-document.ts';
import type { Action, Imported, Row } from './import/request.ts';
import { CliError, EXIT, type OutputOptions, print, table } from './output.ts';
import type { CliDeps } from './program.ts';

interface ImportOptions extends OutputOptions {
  readonly out?: string;
  readonly config?: string;
  readonly operations?: readonly string[];
  readonly name?: string;
  readonly prefix?: string;
  readonly tenant?: string;
  readonly baseUrl?: string;
  readonly reference?: boolean;
  readonly prune?: boolean;
  readonly pruneEdited?: boolean;
  readonly dryRun?: boolean;
  readonly exitCode?: boolean;
}

const TIMEOUT_MS = 60_000;

export function addImport(program: Command, { console }: CliDeps): void {
  program
    .command('import')
    .description('Make manifests of what is described elsewhere')
    .command('openapi')
    .argument('<document>', 'OpenAPI 3.0 or 3.1 document, JSON or YAML: a file or a URL')
    .description(
      'Make an ApiSpec and a tool for each operation; a second run changes what the document changed',
    )
    .option(
      '--operations <pattern...>',
      'operations that become tools, by operationId or "METHOD /path": * for any text, ! before what is left out; else those of the last run, or all',
    )
    .option('--out <dir>', 'directory of manifests; else the one of the configuration')
    .option('--config <file>', 'gateway.yaml that names the directory')
    .option(
      '--name <api>',
      'name of the ApiSpec; else that of the last run, or from the title of the document',
    )
    .option(
      '--prefix <words>',
      'what the names of the tools begin with; else that of the last run, or the name',
    )
    .option('--tenant <name>', 'tenant that the API and its tools belong to')
    .option('--base-url <url>', "where the API is; else as in the last run, or the document's first server")
    .option('--reference', 'of a URL: refer to it with its digest, instead of keeping a copy')
    .option(
      '--prune',
      'remove the tools whose operations are not in the document any more, or that --operations leaves out',
    )
    .option('--prune-edited', 'as --prune, also those that were edited by hand')
    .option('--dry-run', 'write nothing')
    .option('--exit-code', 'exit with 2 when something is changed, or would be')
    .action(async (document: string, options: ImportOptions) => {
      const dir = options.out ?? loadConfig(options.config).config.manifests.dir;
      const directory = await openDirectory(dir);
      const url = /^https?:\/\//i.test(document) ? document : null;
      if (url === null && options.reference === true)
        throw new CliError('--reference is for a document behind a URL');
      checkNames(options);
      const imported = await importDocument(directory, {
        bytes: url === null ? readDocumentFile(document) : await fetchDocument(url),
        origin: url ?? basename(document),
        url,
        inside: url === null ? pathInside(dir, document) : null,
        reference: options.reference ?? false,
        name: options.name ?? null,
        base_url: options.baseUrl ?? null,
        prefix: options.prefix ?? null,
        operations: options.operations ?? null,
        tenant: options.tenant ?? null,
        prune: options.pruneEdited ? 'all' : options.prune ? 'untouched' : 'nothing',
      });
      const files = directory.changed();
      const dry_run = options.dryRun ?? false;
      if (!dry_run) directory.write();
      print(console, options, { dir, dry_run, ...imported, files }, textOf(dir, dry_run, files, imported));
      const has = (action: Action): boolean => imported.rows.some((row) => row.action === action);
      if (has('invalid')) throw new CliError('');
      // Who prunes and is refused must hear of it.
      if (has('vanished') || (options.prune === true && has('unselected'))) throw new CliError('', EXIT.held);
      if (options.exitCode === true && files.length > 0) throw new CliError('', EXIT.changes);
    });
}

function checkNames({ name, prefix, tenant }: ImportOptions): void {
  const check = (flag: string, text: string | undefined, pattern: RegExp, what: string): void => {
    if (text !== undefined && !pattern.test(text)) throw new CliError(`${flag} ${text}: expected ${what}`);
  };
  const words = 'lower-case letters and digits, with ".", "_" and "-" between them';
  check('--name', name, /^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$/, words);
  check('--prefix', prefix, /^([a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?)?$/, words);
  check('--tenant', tenant, /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'lower-case letters, digits and "-"');
}

function readDocumentFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CliError(`${path} cannot be read: ${(error as Error).message}`);
  }
}

/** Whoever names a URL on a command line may also ask a server of this machine. */
async function fetchDocument(url: string): Promise<Buffer> {
  if (!URL.canParse(url) || new URL(url).username !== '' || new URL(url).hash !== '')
    throw new CliError(`${url}: expected a URL without user or fragment`);
  const egress = createEgress({ version: packageVersion() });
  try {
    return await download(egress, url, {
      egress: { allow_private: true, allow_addresses: [] },
      signal: new AbortController().signal,
      timeout_ms: TIMEOUT_MS,
      max_bytes: MAX_DOCUMENT_BYTES,
    });
  } catch (error) {
    if (error instanceof GatewayError) throw new CliError(error.message);
    throw error;
  } finally {
    await egress.close();
  }
}

/** Where a document is below the directory, when the gateway would read it there; else null. */
function pathInside(dir: string, document: string): string | null {
  let path: string;
  try {
    path = relative(realpathSync(dir), realpathSync(document)).split(sep).join('/');
  } catch {
    return null;
  }
  const outside = path === '..' || path.startsWith('../') || path.startsWith('/');
  return outside || !isManifestFile(path) ? null : path;
}

function textOf(dir: string, dryRun: boolean, files: readonly string[], imported: Imported): string {
  const { api, prefix, rows, warnings } = imported;
  const shown = rows.map(({ action, kind, name, operation, file, note }) => [
    action,
    kind === 'ApiSpec' ? `ApiSpec ${name}` : (name ?? '-'),
    operation ?? '',
    file ?? '',
    note,
  ]);
  const lines = [table([['', 'tool', 'operation', 'file', 'note'], ...shown])];
  if (warnings.length > 0) lines.push('', 'In the document:', ...warnings.map((text) => `  ${text}`));
  const wrote =
    files.length === 0 ? 'nothing to write' : `${files.length} ${files.length === 1 ? 'file' : 'files'}`;
  const where = dryRun ? 'nothing was written (--dry-run)' : `${wrote} in ${dir}`;
  lines.push('', `${countsOf(rows)}; ${where}`);
  if (rows.some(({ action, kind }) => action === 'created' && kind === 'ToolWorkflow')) {
    const pattern = prefix === '' ? '<tool>' : `${prefix}.*`;
    lines.push(
      '',
      'Nobody may call a new tool until a SecurityContext says so, such as',
      `  capabilities: [{tool_pattern: "${pattern}"}]`,
      `Then: seal-gateway validate ${dir}, and seal-gateway plan shows what ${api} adds.`,
    );
  }
  return lines.join('\n');
}

const ACTIONS: readonly Action[] = [
  'created',
  'updated',
  'unchanged',
  'kept',
  'removed',
  'vanished',
  'unselected',
  'skipped',
  'invalid',
];

function countsOf(rows: readonly Row[]): string {
  const counts = ACTIONS.flatMap((action) => {
    const count = rows.filter((row) => row.action === action).length;
    return count === 0 ? [] : [`${count} ${action}`];
  });
  return counts.join(', ');
}
