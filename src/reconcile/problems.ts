/** Collects what is wrong with one manifest while it is compiled. */
import { compareDiagnostics, type Diagnostic } from '../manifest/diagnostic.ts';
import { diagnosticAt, type Manifest } from '../manifest/manifest.ts';

export interface Problems {
  /** An error at a JSON pointer of the manifest. */
  error(pointer: string, rule: string, message: string, hint?: string | null): void;
  /** Told, but the manifest is applied. */
  warn(pointer: string, rule: string, message: string, hint?: string | null): void;
  /** The manifest itself is sound, but one that it needs is not. */
  block(pointer: string, message: string): void;
  /** The value that `make` gives; what it throws is an error at this pointer. */
  attempt<T>(pointer: string, rule: string, make: () => T): T | null;
  readonly failed: boolean;
  /** Nothing but {@link Problems.block} stands in the way. */
  readonly blocked: boolean;
  list(): Diagnostic[];
}

export function createProblems(manifest: Manifest): Problems {
  const found: Diagnostic[] = [];
  let errors = 0;
  let blocks = 0;
  const add = (
    severity: Diagnostic['severity'],
    pointer: string,
    rule: string,
    message: string,
    hint: string | null,
  ) => found.push(diagnosticAt(manifest, pointer, rule, message, { hint, severity }));
  const problems: Problems = {
    error(pointer, rule, message, hint = null) {
      errors += 1;
      add('error', pointer, rule, message, hint);
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
        problems.error(pointer, rule, error instanceof Error ? error.message : String(error));
        return null;
      }
    },
    get failed() {
      return errors + blocks > 0;
    },
    get blocked() {
      return errors === 0 && blocks > 0;
    },
    list: () => found.sort(compareDiagnostics),
  };
  return problems;
}
