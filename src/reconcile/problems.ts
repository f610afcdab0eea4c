/** Collects what is wrong with one manifest while it is compiled. */
import { compareDiagnostics, type Diagnostic } from '../manifest/diagnostic.ts';
import { diagnosticAt, type Manifest } from '../manifest/manifest.ts';

/** What a compiler of a part throws: where in that part, and how to mend it. */
export class Fault extends Error {
  override readonly name = 'Fault';
  /** JSON pointer within the part. */
  readonly pointer: string;
  readonly hint: string | null;

  constructor(message: string, place: { pointer?: string; hint?: string | null } = {}) {
    super(message);
    this.pointer = place.pointer ?? '';
    this.hint = place.hint ?? null;
  }
}

/** A finding that knows its place by JSON pointer alone: the manifest may move, and with it the place. */
export interface Finding {
  readonly severity: Diagnostic['severity'];
  readonly pointer: string;
  /** Whether the key or the value is to blame. */
  readonly at: 'key' | 'value';
  readonly rule: string;
  readonly message: string;
  readonly hint: string | null;
}

/** How to mend it; a function where it takes time to find out. */
export type Hint = string | null | (() => string | null);

export interface Problems {
  /** An error at a JSON pointer of the manifest. */
  error(pointer: string, rule: string, message: string, hint?: Hint, at?: 'key' | 'value'): void;
  /** Told, but the manifest is applied. */
  warn(pointer: string, rule: string, message: string, hint?: Hint): void;
  /** The manifest itself is sound, but one that it needs is not. */
  block(pointer: string, message: string): void;
  /** The value that `make` gives; what it throws is an error at this pointer. */
  attempt<T>(pointer: string, rule: string, make: () => T): T | null;
  readonly failed: boolean;
  /** Nothing but {@link Problems.block} stands in the way. */
  readonly blocked: boolean;
  /** In the order in which they were found, each once; the last one counts those that are left out. */
  readonly findings: readonly Finding[];
}

/** Errors of one manifest, and as many warnings: more help nobody. */
const MAX_TOLD = 50;
/** A manifest may be full of words that each resemble thousands of others. */
const MAX_HINTED = 10;

export function createProblems(): Problems {
  const findings = new Map<string, Finding>();
  const left = { error: MAX_TOLD, warning: MAX_TOLD, hints: MAX_HINTED };
  let untold = 0;
  let errors = 0;
  let blocks = 0;
  const hintOf = (hint: Hint): string | null => {
    if (typeof hint !== 'function') return hint;
    left.hints -= 1;
    return left.hints < 0 ? null : hint();
  };
  const add = (
    severity: Diagnostic['severity'],
    pointer: string,
    rule: string,
    message: string,
    hint: Hint,
    at: 'key' | 'value' = 'value',
  ): void => {
    // Several steps may trip over one mistake, such as the name of the API that they share.
    const key = JSON.stringify([pointer, rule, message]);
    if (findings.has(key)) return;
    left[severity] -= 1;
    if (left[severity] < 0) untold += 1;
    else findings.set(key, { severity, pointer, at, rule, message, hint: hintOf(hint) });
  };
  const problems: Problems = {
    error(pointer, rule, message, hint = null, at = 'value') {
      errors += 1;
      add('error', pointer, rule, message, hint, at);
    },
    warn(pointer, rule, message, hint = null) {
      add('warning', pointer, rule, message, hint);
    },
    block(pointer, message) {
      blocks += 1;
      add('error', pointer, 'blocked', message, null);
    },
    attempt(pointer, rule, make) {
      try {
        return make();
      } catch (error) {
        const { message, pointer: below, hint } = asFault(error);
        problems.error(pointer + below, rule, message, hint);
        return null;
      }
    },
    get failed() {
      return errors + blocks > 0;
    },
    get blocked() {
      return errors === 0 && blocks > 0;
    },
    get findings() {
      const told = [...findings.values()];
      if (untold === 0) return told;
      const message = `${untold} more problems are not listed`;
      const severity = errors > 0 ? 'error' : 'warning';
      const more: Finding = { ...told.at(-1)!, severity, rule: 'too-many-problems', message, hint: null };
      return [...told, more];
    },
  };
  return problems;
}

/** Findings at their places in a manifest, in order. */
export function placeFindings(manifest: Manifest, findings: readonly Finding[]): Diagnostic[] {
  return findings
    .map(({ pointer, at, rule, message, hint, severity }) =>
      diagnosticAt(manifest, pointer, rule, message, { hint, at, severity }),
    )
    .sort(compareDiagnostics);
}

function asFault(error: unknown): Pick<Fault, 'message' | 'pointer' | 'hint'> {
  if (error instanceof Fault) return error;
  return { message: error instanceof Error ? error.message : String(error), pointer: '', hint: null };
}
