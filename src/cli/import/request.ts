/** What an import is asked for, and what it answers. */

export interface ImportRequest {
  readonly bytes: Buffer;
  /** As it was named: for messages, and to know the ApiSpec again. */
  readonly origin: string;
  /** null: the document is a file. */
  readonly url: string | null;
  /** The document below the directory; null: it is elsewhere, and copied. */
  readonly inside: string | null;
  /** The ApiSpec refers to the URL, instead of a copy. */
  readonly reference: boolean;
  /** null: as the last time, or the default. */
  readonly name: string | null;
  readonly base_url: string | null;
  readonly prefix: string | null;
  readonly operations: readonly string[] | null;
  readonly tenant: string | null;
  /** `all`: also what was edited by hand. */
  readonly prune: 'nothing' | 'untouched' | 'all';
}

export type Action =
  | 'created'
  | 'updated'
  | 'unchanged'
  /** The document has changed what was edited by hand. */
  | 'kept'
  | 'skipped'
  | 'removed'
  /** Its operation is not in the document any more; it stays until somebody prunes. */
  | 'vanished'
  /** `--operations` leaves its operation out; it stays, and up to date, until somebody prunes. */
  | 'unselected'
  /** The gateway would not take it. */
  | 'invalid';

export interface Row {
  readonly action: Action;
  readonly kind: 'ApiSpec' | 'ToolWorkflow';
  /** null: it was left out before it had one. */
  readonly name: string | null;
  /** Method and path; null: an ApiSpec. */
  readonly operation: string | null;
  readonly file: string | null;
  readonly note: string;
  /** Of a manifest that pruning removes, or would: what was edited by hand, in words. */
  readonly edited?: readonly string[];
}

export interface Imported {
  readonly api: string;
  readonly prefix: string;
  readonly rows: readonly Row[];
  /** What is wrong with the document beside single operations. */
  readonly warnings: readonly string[];
}
