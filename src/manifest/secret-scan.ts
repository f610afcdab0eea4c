/** Likely secrets in the free-form text of a manifest. A manifest is read by many and kept in git for ever. */
import { pointerTo } from './position.ts';

export interface SecretFinding {
  readonly pointer: string;
  /** What the text looks like; the text itself is never told. */
  readonly what: string;
  /** How to do without it. */
  readonly hint: string;
}

// A lookbehind in front keeps each run of letters to one start, so that the time stays linear.
const TOKENS: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['a private key', /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY( BLOCK)?-----/],
  ['an AWS access key', /(?<![A-Za-z0-9])(AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Z])/],
  ['a GitHub token', /(?<![A-Za-z0-9_])(gh[opsur]_[A-Za-z0-9]{30}|github_pat_[A-Za-z0-9_]{22})/],
  ['a GitLab token', /(?<![A-Za-z0-9_-])glpat-[A-Za-z0-9_-]{20}/],
  ['a Slack token', /(?<![A-Za-z0-9_-])xox[abprs]-[A-Za-z0-9-]{10}/],
  ['an API key', /(?<![A-Za-z0-9_-])sk-(?=[A-Za-z_-]{0,60}[0-9])[A-Za-z0-9_-]{20}/],
  ['a Stripe key', /(?<![A-Za-z0-9_-])[rs]k_live_[A-Za-z0-9]{16}/],
  ['a Google API key', /(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}/],
  ['an npm token', /(?<![A-Za-z0-9_])npm_[A-Za-z0-9]{36}/],
  ['an OpenBao or Vault token', /(?<![A-Za-z0-9_.-])hv[bs]\.[A-Za-z0-9_-]{24}/],
  ['a JSON Web Token', /(?<![A-Za-z0-9_.-])eyJ[A-Za-z0-9_-]{8,2048}\.eyJ[A-Za-z0-9_-]{8}/],
];

const CREDENTIAL_HEADER =
  /^(authorization|proxy-authorization|cookie|x-api-key|api-key|apikey|x-auth-token|x-vault-token)$/i;
const SCHEME = /^\s*(bearer|basic|token)\s+[^\s{]{8}/i;
const CREDENTIAL_VARIABLE = /(^|_)(token|secret|password|passwd|api_?key|access_key|private_key)$/i;

const USE_CREDENTIAL = 'keep it in OpenBao and refer to it with `credential`';
const USE_INJECT = 'use `credential` and `inject`, which put it in at the last moment';

/** A part of each: most texts have none of them, and need no closer look. */
const MARK = /PRIVATE KEY|AKIA|ASIA|gh[opsur]_|github_pat_|glpat-|xox|sk-|[rs]k_live_|AIza|npm_|hv[bs]\.|eyJ/;

/** What `text` looks like when it looks like a secret, else null. */
export function secretIn(text: string): string | null {
  if (!MARK.test(text)) return null;
  for (const [what, pattern] of TOKENS) if (pattern.test(text)) return what;
  return null;
}

/** Every likely secret in a manifest: in any text of it, in headers, in the environment of a command. */
export function scanSecrets(manifest: unknown): SecretFinding[] {
  const findings: SecretFinding[] = [];
  walk(manifest, [], (path, text) => {
    const what = secretIn(text);
    if (what === null) return;
    const pointer = path.reduce(pointerTo, '');
    findings.push({ pointer, what: `looks like ${what}`, hint: USE_CREDENTIAL });
  });
  const found = new Set(findings.map((finding) => finding.pointer));
  for (const finding of scanNamed(manifest)) if (!found.has(finding.pointer)) findings.push(finding);
  return findings;
}

/** `path` is one list for the whole walk. */
function walk(value: unknown, path: string[], visit: (path: readonly string[], text: string) => void): void {
  if (typeof value === 'string') visit(path, value);
  if (typeof value !== 'object' || value === null) return;
  for (const key of Object.keys(value)) {
    path.push(key);
    visit(path, key);
    walk((value as Record<string, unknown>)[key], path, visit);
    path.pop();
  }
}

/** Fields whose name says that a credential is in them. */
function scanNamed(manifest: unknown): SecretFinding[] {
  const spec = member(manifest, 'spec');
  const steps = member(spec, 'steps');
  const headers: [string, unknown][] = [['/spec/headers', member(spec, 'headers')]];
  if (Array.isArray(steps)) {
    for (const [index, step] of steps.entries()) {
      headers.push([`/spec/steps/${index}/headers`, member(step, 'headers')]);
    }
  }
  return [
    ...headers.flatMap(([pointer, map]) => scanHeaders(pointer, map)),
    ...entriesOf(member(spec, 'env')).flatMap(([name, value]) =>
      CREDENTIAL_VARIABLE.test(name) && value.length >= 8
        ? [{ pointer: pointerTo('/spec/env', name), what: 'is named like a credential', hint: USE_INJECT }]
        : [],
    ),
  ];
}

function scanHeaders(pointer: string, headers: unknown): SecretFinding[] {
  return entriesOf(headers).flatMap(([name, value]) => {
    // A template takes its value from the call; whether that is wise is the author's to judge.
    const literal = value !== '' && !value.includes('{{');
    if (!literal || !(CREDENTIAL_HEADER.test(name) || SCHEME.test(value))) return [];
    return [{ pointer: pointerTo(pointer, name), what: 'is a credential written out', hint: USE_INJECT }];
  });
}

function entriesOf(map: unknown): [string, string][] {
  if (typeof map !== 'object' || map === null || Array.isArray(map)) return [];
  return Object.entries(map).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<string, unknown>)[key];
}
