/** The rules of the house (docs/architecture.md): who may import whom, and what only one file may do. */
import { posix } from 'node:path';
import type { Import, Source } from './source.ts';

/** Anyone may import these, and they import each other alone. */
export const LEAVES: readonly string[] = [
  'clock.ts',
  'errors.ts',
  'ids.ts',
  'log.ts',
  'percent.ts',
  'version.ts',
];

export interface Allowed {
  /** A folder, or a file below src/. */
  readonly from: string;
  /** `types`: for its types alone. A list: types, and these values. */
  readonly what: 'all' | 'types' | readonly string[];
}

const all = (from: string): Allowed => ({ from, what: 'all' });
const types = (from: string): Allowed => ({ from, what: 'types' });
const values = (from: string, ...what: string[]): Allowed => ({ from, what });

/** The model's types, its two pure functions on keys, and the name of the tool that no manifest makes. */
const MODEL = values('snapshot/snapshot.ts', 'scoped', 'visible', 'EXPLORE');

/** What a folder may import beside the leaves and itself. main.ts and cli/ are not here: they may import all. */
export const TABLE: Readonly<Record<string, readonly Allowed[]>> = {
  manifest: [],
  openapi: [],
  snapshot: [types('manifest'), types('openapi')],
  policy: [MODEL],
  // Keys of manifests and keys of tokens pass the same strict check (docs/decisions/0001).
  envelope: [MODEL, all('snapshot/ed25519.ts')],
  audit: [MODEL],
  reconcile: [
    all('manifest'),
    all('openapi'),
    all('snapshot'),
    all('policy/match.ts'),
    // Whom a change lets see a tool is asked of the policy itself, not thought out anew.
    values('policy/evaluate.ts', 'permitsName', 'permitsSubcommand', 'permitsCommand'),
    all('execute/template.ts'),
    all('execute/template-inspect.ts'),
    all('execute/jsonpath.ts'),
    // Whether calls will be let out is asked of the rule that lets them out.
    values('execute/address.ts', 'compileAddressPolicy'),
    // Every change of configuration is an event; the port that writes it is given by main.ts.
    types('audit'),
  ],
  // The thread that writes is the one that links (docs/decisions/0003).
  store: [types('audit'), values('audit/chain.ts', 'GENESIS', 'hashEvent')],
  // The settings are described once, where the program's are.
  credentials: [MODEL, all('openapi'), types('config-shape.ts')],
  execute: [
    MODEL,
    all('openapi'),
    all('credentials/secret.ts'),
    all('credentials/mask.ts'),
    // What a message shows of a reply is redacted as arguments are (docs/decisions/0010).
    values('audit/redact.ts', 'REDACTED', 'redactArguments'),
  ],
  invoke: [
    all('envelope'),
    all('policy'),
    all('credentials'),
    all('execute'),
    all('audit'),
    all('snapshot'),
    all('store/store.ts'),
  ],
  serve: [
    all('invoke'),
    all('snapshot/holder.ts'),
    all('reconcile/status.ts'),
    types('audit'),
    all('store/store.ts'),
  ],
  'trust.ts': [
    types('config-shape.ts'),
    values('config.ts', 'ConfigError'),
    types('credentials'),
    all('envelope'),
    types('execute'),
    all('invoke'),
    all('reconcile/operator-keys.ts'),
  ],
  // Runs in browsers too: what it imports may not need Node.
  'client.ts': [all('envelope/canonical.ts')],
  'config.ts': [
    all('config-check.ts'),
    all('config-file.ts'),
    all('config-shape.ts'),
    all('manifest/suggest.ts'),
  ],
  'config-check.ts': [
    all('config-shape.ts'),
    // What a network is, is asked of what reads them.
    values('invoke/remote-address.ts', 'networkProblem'),
  ],
  'config-file.ts': [],
  'config-shape.ts': [],
};

/** Packages that belong to one place; a place that ends with `/` is a folder. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'better-sqlite3': [
    'store/sqlite-file.ts',
    'store/sqlite-ledger.ts',
    'store/sqlite-reader.ts',
    'store/sqlite-sessions.ts',
    'store/sqlite-trim.ts',
  ],
  pg: ['store/postgres-connection.ts'],
  koa: ['serve/'],
  '@koa/router': ['serve/'],
  'raw-body': ['serve/'],
  '@grpc/grpc-js': ['serve/'],
  '@modelcontextprotocol/sdk': ['serve/'],
  commander: ['cli/'],
  pino: ['log.ts'],
  handlebars: ['execute/template-parse.ts'],
  'node:process': ['config.ts'],
};

interface Word {
  readonly what: string;
  readonly pattern: RegExp;
  readonly only_in: readonly string[];
}

/** What only one file does, so that all others are given it. `new Date(ms)` converts; it does not read the clock. */
const WORDS: readonly Word[] = [
  // Also `const { env } = process` and `process[name]`.
  { what: 'process.env', pattern: /(?<![.\w])process\b(?!\s*\.\s*(?!env\b)\w)/, only_in: ['config.ts'] },
  { what: 'Date.now', pattern: /\bDate\s*\.\s*now\b/, only_in: ['clock.ts'] },
  { what: 'performance.now', pattern: /\bperformance\s*\.\s*now\b/, only_in: ['clock.ts'] },
  { what: 'process.hrtime', pattern: /\bprocess\s*\.\s*hrtime\b/, only_in: ['clock.ts'] },
  { what: 'new Date()', pattern: /\bnew\s+Date\b(?!\s*\(\s*[^)\s])/, only_in: ['clock.ts'] },
  { what: 'Date()', pattern: /(?<!\bnew\s+|[.\w])Date\s*\(/, only_in: ['clock.ts'] },
  { what: 'randomUUID', pattern: /\brandomUUID\b/, only_in: ['ids.ts'] },
  { what: 'randomBytes', pattern: /\brandomBytes\b/, only_in: ['ids.ts'] },
  { what: 'Math.random', pattern: /\bMath\s*\.\s*random\b/, only_in: [] },
  // The client has no node:crypto: its request ids come from WebCrypto.
  { what: 'getRandomValues', pattern: /\bgetRandomValues\b/, only_in: ['client.ts'] },
  // Imports that no table can see.
  { what: 'require', pattern: /\b(?:createRequire|require)\s*\(/, only_in: [] },
  { what: 'import() of what is not a plain text', pattern: /\bimport\s*\(\s*(?!['"])/, only_in: [] },
];

/** Names that say nothing of the field. */
const NAMELESS = /^(?:utils?|helpers?|common|misc)$/;
/** "Helper" is Handlebars' own word for a function that templates may call. */
const NAMED_BY_THE_FIELD: readonly string[] = ['execute/template-helpers.ts'];

/** The folder (or the file, for those outside of one) that a rule of the table is about. */
export function placeOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : file;
}

/** Everything that breaks a rule, each as `file: what`. */
export function problemsOf(source: Source): string[] {
  const found = [...namesOf(source), ...wordsOf(source), ...barrelOf(source)];
  for (const one of source.imports) {
    const problem = one.specifier.startsWith('.') ? relative(source.file, one) : bare(source.file, one);
    if (problem !== null) found.push(problem);
  }
  return found.map((problem) => `${source.file}: ${problem}`);
}

function namesOf({ file }: Source): string[] {
  if (NAMED_BY_THE_FIELD.includes(file)) return [];
  const parts = file.replace(/\.ts$/, '').split('/');
  return parts
    .filter((part) => part.split(/[.-]/).some((word) => NAMELESS.test(word)))
    .map((part) => `"${part}" names nothing of the field`);
}

function wordsOf({ file, code }: Source): string[] {
  return WORDS.filter(({ pattern, only_in }) => !only_in.includes(file) && pattern.test(code)).map(
    ({ what, only_in }) => `${what} belongs into ${only_in.join(', ') || 'no source'}`,
  );
}

function barrelOf({ code }: Source): string[] {
  const own = code.replaceAll(/\bexport\s+[^'"`;()]*?\bfrom\s*(['"]).*?\1\s*;?/g, '');
  return own.trim() === '' ? ['only re-exports: import from where things are'] : [];
}

function relative(file: string, { specifier, type_only, values: named }: Import): string | null {
  const target = posix.normalize(posix.join(posix.dirname(file), specifier));
  if (target.startsWith('../')) return `imports ${specifier}, which is not in src`;
  if (!target.endsWith('.ts')) return `imports ${specifier} without its .ts`;
  const [from, to] = [placeOf(file), placeOf(target)];
  if (from === 'serve' && to === 'serve') return sibling(file, target);
  if (from === to || LEAVES.includes(target)) return null;
  if (LEAVES.includes(file)) return `is a leaf and imports ${target}`;
  if (from === 'main.ts' || from === 'cli')
    return to === 'main.ts' ? `imports ${target}, which is a program` : null;
  const rules = TABLE[from];
  if (rules === undefined) return 'is in no row of the import table';
  const rule = rules.find((row) => row.from === target) ?? rules.find((row) => row.from === to);
  if (rule === undefined) return `may not import ${target}`;
  if (rule.what === 'all' || type_only) return null;
  if (rule.what === 'types') return `may import ${target} for its types alone`;
  const more = named.length === 0 ? ['the whole of it'] : named.filter((name) => !rule.what.includes(name));
  return more.length === 0
    ? null
    : `may import ${target} for ${rule.what.join(', ')} and types, not ${more.join(', ')}`;
}

/** serve/http and serve/grpc know nothing of each other; serve/http/control is of the former. */
function sibling(file: string, target: string): string | null {
  const [mine, other] = [transportOf(file), transportOf(target)];
  return mine !== null && mine === other ? null : `imports its sibling ${target}`;
}

/** null: a file that stands in serve/ itself is a transport of its own. */
function transportOf(file: string): string | null {
  const [, transport, ...rest] = file.split('/');
  return transport === undefined || rest.length === 0 ? null : transport;
}

function bare(file: string, { specifier }: Import): string | null {
  if (specifier.startsWith('node:') && placeOf(file) === 'policy') return `is pure and imports ${specifier}`;
  const name = packageOf(specifier);
  const places = PACKAGES[name];
  if (
    places === undefined ||
    places.some((place) => file === place || (place.endsWith('/') && file.startsWith(place)))
  ) {
    return null;
  }
  return `${name} belongs into ${places.join(', ')}`;
}

/** `@koa/router` of `@koa/router/lib/x`. */
export function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
