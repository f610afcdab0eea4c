/**
 * Fetches the documents that ApiSpecs name by URL, beside the reconciler, which never waits for a server: what is not
 * here yet is told, and a reconcile is asked for when it has come. What was fetched once is known by its digest, and
 * never asked for again.
 */
import type { ManifestSet } from '../manifest/load.ts';
import type { TreeFile } from '../manifest/tree.ts';
import { MAX_DOCUMENT_BYTES } from '../openapi/document.ts';
import type { AppliedSet } from './compile.ts';
import { type Absent, asData, documentsIn, type RemoteDocument, withDocuments } from './remote-documents.ts';

export interface FetchLimits {
  readonly signal: AbortSignal;
  readonly timeout_ms: number;
  readonly max_bytes: number;
}

/** The content behind the URL, under the document's egress rules. What it rejects with says why, for people. */
export type FetchDocument = (document: RemoteDocument, limits: FetchLimits) => Promise<Buffer>;

export interface DocumentsDeps {
  readonly fetch: FetchDocument;
  /** Called when {@link Documents.fill} would say something else than before. */
  readonly changed: () => void;
  /** Milliseconds after the first failure, doubled with each, and the most that it comes to. */
  readonly retry_ms?: { readonly first: number; readonly most: number };
}

export interface Documents {
  /**
   * The set with its documents: those that are here, and of the others why not. Begins to fetch what it does not have,
   * and forgets what the set does not name.
   */
  fill(set: ManifestSet, inForce: AppliedSet): ManifestSet;
  /** Whether a fetch has ended since the last {@link Documents.fill}. */
  hasNews(): boolean;
  /** Resolves when everything that was asked for has come or failed, or after so many milliseconds. */
  settled(timeout_ms: number): Promise<void>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 30_000;
/** At once; the others wait. */
const MAX_FETCHES = 4;
const RETRY_MS = { first: 1_000, most: 300_000 };

/** A document that is not here. */
interface Attempt {
  readonly document: RemoteDocument;
  readonly abort: AbortController;
  failures: number;
  /** null: there was no answer yet. */
  problem: Absent | null;
  timer: NodeJS.Timeout | undefined;
}

export function createDocuments({ fetch, changed, retry_ms = RETRY_MS }: DocumentsDeps): Documents {
  const known = new Map<string, TreeFile>();
  const attempts = new Map<string, Attempt>();
  const waiting: Attempt[] = [];
  const running = new Set<Promise<void>>();
  let waiters: (() => void)[] = [];
  let news = false;
  let closed = false;

  function pump(): void {
    while (!closed && running.size < MAX_FETCHES && waiting.length > 0) {
      const attempt = waiting.shift()!;
      if (attempt.abort.signal.aborted) continue;
      const run = fetchOne(attempt).finally(() => {
        running.delete(run);
        pump();
      });
      running.add(run);
    }
  }

  async function fetchOne(attempt: Attempt): Promise<void> {
    const { document, abort } = attempt;
    const got = await fetchChecked(document, fetch, abort.signal);
    if (abort.signal.aborted) return;
    if ('bytes' in got) {
      known.set(got.digest, got);
      attempts.delete(keyOf(document));
    } else {
      const again = Math.min(retry_ms.first * 2 ** attempt.failures, retry_ms.most);
      attempt.failures += 1;
      attempt.timer = setTimeout(enqueue, again, attempt);
    }
    const same = 'message' in got && got.message === attempt.problem?.message;
    if ('message' in got) attempt.problem = got;
    tellWaiters();
    if (same) return;
    news = true;
    changed();
  }

  function enqueue(attempt: Attempt): void {
    waiting.push(attempt);
    pump();
  }

  function attemptOf(document: RemoteDocument): Attempt {
    const key = keyOf(document);
    const attempt = attempts.get(key);
    if (attempt !== undefined) return attempt;
    const fresh = { document, abort: new AbortController(), failures: 0, problem: null, timer: undefined };
    attempts.set(key, fresh);
    enqueue(fresh);
    return fresh;
  }

  function drop(key: string, { abort, timer }: Attempt): void {
    clearTimeout(timer);
    abort.abort();
    attempts.delete(key);
  }

  const isSettled = (): boolean => [...attempts.values()].every(({ problem }) => problem !== null);
  const tellWaiters = (): void => {
    if (isSettled()) for (const tell of waiters.splice(0)) tell();
  };

  return {
    fill(set, inForce) {
      news = false;
      const near = documentsIn(inForce);
      const named = new Set<string>();
      const filled = withDocuments(set, (document) => {
        named.add(keyOf(document)).add(document.sha256);
        const file = known.get(document.sha256) ?? near.get(document.sha256);
        return file === undefined ? (attemptOf(document).problem ?? PENDING) : asData(document, file);
      });
      for (const [key, attempt] of attempts) if (!named.has(key)) drop(key, attempt);
      for (const digest of known.keys()) if (!named.has(digest)) known.delete(digest);
      tellWaiters();
      return filled;
    },
    hasNews: () => news,
    async settled(timeout_ms) {
      if (closed || isSettled()) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, timeout_ms);
      waiters.push(resolve);
      await promise;
      clearTimeout(timer);
      waiters = waiters.filter((one) => one !== resolve);
    },
    async close() {
      closed = true;
      for (const [key, attempt] of attempts) drop(key, attempt);
      tellWaiters();
      await Promise.all(running);
    },
  };
}

const PENDING: Absent = {
  severity: 'error',
  rule: 'document-pending',
  field: 'url',
  message: 'the document is being fetched',
  hint: null,
};

/** The document, when what is there has its digest; never rejects for what a server does. */
export async function fetchChecked(
  document: RemoteDocument,
  fetch: FetchDocument,
  signal: AbortSignal,
): Promise<TreeFile | Absent> {
  const failed = { severity: 'error', rule: 'document-unavailable' } as const;
  let content: Buffer;
  try {
    content = await fetch(document, { signal, timeout_ms: TIMEOUT_MS, max_bytes: MAX_DOCUMENT_BYTES });
  } catch (error) {
    const message = `the document could not be fetched: ${error instanceof Error ? error.message : String(error)}`;
    return { ...failed, field: 'url', message, hint: 'the gateway tries again, with growing pauses' };
  }
  const file = asData(document, content);
  if (file.digest === document.sha256) return file;
  const message = `what is at the URL has another SHA-256, ${file.digest}`;
  const hint = 'look at what has changed in the document, then write that digest here';
  return { ...failed, field: 'sha256', message, hint };
}

function keyOf({ url, sha256, egress }: RemoteDocument): string {
  return JSON.stringify([url, sha256, egress.allow_private, egress.allow_addresses]);
}
