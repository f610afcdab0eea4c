/** The indexes of OpenAPI documents: the same file is read once, however many reconciles see it. */
import type { Found } from '../manifest/manifest.ts';
import { createPace } from '../manifest/pace.ts';
import type { TreeFile } from '../manifest/tree.ts';
import { readDocument } from '../openapi/document.ts';
import { type DocumentIndex, indexDocument, indexing } from '../openapi/index-document.ts';
import { isRemote } from './remote-documents.ts';
import { ThreadLost } from './thread-pool.ts';

/** Gives the index of a document, or throws why there is none. */
export type IndexFile = (file: TreeFile) => DocumentIndex;

export interface DocumentCache {
  readonly indexFile: IndexFile;
  /**
   * Indexes what these manifests refer to and hold, as far as it is not known, without standing in the way of calls.
   * What neither these nor those of the last time refer to is forgotten.
   */
  prepare(manifests: Iterable<Found>): Promise<void>;
}

/** Of the files whose indexes are remembered: several of the largest that are published. */
const MAX_BYTES = 64 * 1024 * 1024;
/** Bytes of a document that is indexed in a moment. */
const SMALL_DOCUMENT = 32 * 1024;

/** What is known of a document. */
interface Known {
  readonly bytes: number;
  readonly read: () => DocumentIndex;
  /** The thread that read it was lost: it may go better the next time. */
  readonly lost: boolean;
}

/** `indexApart` reads large documents elsewhere; without it, all are read when they are asked for. */
export function createDocumentCache(
  indexApart: ((file: TreeFile) => Promise<DocumentIndex>) | null = null,
): DocumentCache {
  // In order of use; what was not asked for in a long time is forgotten.
  const known = new Map<string, Known>();
  /** When a document was last referred to, by number of {@link DocumentCache.prepare}. */
  const referred = new Map<string, number>();
  let prepared = 0;
  let bytes = 0;

  const forget = (id: string): void => {
    bytes -= known.get(id)?.bytes ?? 0;
    known.delete(id);
  };

  const keep = (file: TreeFile, entry: Known): void => {
    const id = idOf(file);
    forget(id);
    known.set(id, entry);
    bytes += entry.bytes;
    for (const oldest of known.keys()) {
      if (bytes <= MAX_BYTES || oldest === id) break;
      forget(oldest);
    }
  };

  const prepareFile = async (file: TreeFile): Promise<void> => {
    try {
      const index = await indexApart!(file);
      keep(file, { bytes: file.bytes.length, read: () => index, lost: false });
    } catch (error) {
      const lost = error instanceof ThreadLost;
      // Without threads it is read when it is asked for.
      if (lost && !error.worked) return;
      keep(file, { bytes: file.bytes.length, read: throwing(error), lost });
    }
  };

  return {
    indexFile(file) {
      const entry = known.get(idOf(file)) ?? {
        ...{ bytes: file.bytes.length, lost: false },
        read: settled(() => indexDocument(readDocument(file.bytes), placeOf(file))),
      };
      keep(file, entry);
      return entry.read();
    },
    async prepare(manifests) {
      const wanted = new Map<string, TreeFile>();
      const breathe = createPace();
      prepared += 1;
      for (const { manifest } of manifests) {
        if (manifest?.kind !== 'ApiSpec') continue;
        const { inline } = (manifest.spec as { source: { inline?: object } }).source;
        if (inline !== undefined) await prepareInline(inline, breathe);
        for (const file of manifest.data.values()) {
          const id = idOf(file);
          referred.set(id, prepared);
          if (file.bytes.length > SMALL_DOCUMENT && known.get(id)?.lost !== false) wanted.set(id, file);
        }
      }
      for (const [id, last] of referred) if (last < prepared - 1) referred.delete(id);
      for (const id of known.keys()) if (!referred.has(id)) forget(id);
      if (indexApart !== null) await Promise.all([...wanted.values()].map(prepareFile));
    },
  };
}

/** Where a document is from says what its relative servers are, so one content may be two documents. */
function idOf(file: TreeFile): string {
  return isRemote(file) ? `${file.digest} ${file.path}` : file.digest;
}

/** Where a document is from, as its index needs to know it. */
export function placeOf(file: TreeFile): { readonly url?: string } {
  return isRemote(file) ? { url: file.path } : {};
}

/** For as long as the documents live, which are parts of manifests. */
const inlines = new WeakMap<object, () => DocumentIndex>();

/** The index of a document that a manifest holds itself, or throws why there is none. */
export function indexInline(inline: object): DocumentIndex {
  const read = inlines.get(inline) ?? settled(() => indexDocument(inline));
  inlines.set(inline, read);
  return read();
}

async function prepareInline(inline: object, breathe: () => Promise<void> | undefined): Promise<void> {
  if (inlines.has(inline)) return;
  try {
    const work = indexing(inline);
    let step = work.next();
    for (; !step.done; step = work.next()) await breathe();
    const index = step.value;
    inlines.set(inline, () => index);
  } catch (error) {
    inlines.set(inline, throwing(error));
  }
}

/** Gives what `make` gave or throws what it threw, now and later. */
function settled(make: () => DocumentIndex): () => DocumentIndex {
  try {
    const index = make();
    return () => index;
  } catch (error) {
    return throwing(error);
  }
}

function throwing(error: unknown): () => never {
  return () => {
    throw error;
  };
}
