/** What a thread has read, as it is sent to the event loop: the least from which the same can be made there. */
import type { Found, Manifest } from '../manifest/manifest.ts';
import type { Pace } from '../manifest/pace.ts';
import type { Located } from '../manifest/position.ts';
import { type Draft, type FileReading, makeManifest } from '../manifest/read-file.ts';
import { cut, join, type Piece } from './pieces.ts';

export interface WiredReadings {
  readonly pieces: readonly Piece[];
  /** Of all manifests, one after the other. */
  readonly positions: Int32Array<ArrayBuffer>;
}

type Wired = Omit<FileReading, 'drafts'> & { readonly drafts: readonly WiredDraft[] };

interface WiredDraft {
  readonly found: Omit<Found, 'manifest' | 'part'>;
  readonly references: Draft['references'];
  /** null: it has errors. */
  readonly manifest: WiredManifest | null;
  /** What of one with errors fits its schema; null: nothing to tell of. */
  readonly part: (WiredManifest & Pick<Manifest, 'spec' | 'annotations'>) | null;
}

interface WiredManifest {
  /** Of the whole document. */
  readonly value: Located['value'];
  /** How many numbers of the positions are its own. */
  readonly numbers: number;
  readonly digest: string;
}

export function wireReadings(readings: readonly FileReading[]): WiredReadings {
  const positions: Int32Array[] = [];
  const wire = ({ document, digest }: Manifest): WiredManifest => {
    positions.push(document.positions);
    return { value: document.value, numbers: document.positions.length, digest };
  };
  const wired = readings.map(
    ({ drafts, ...reading }): Wired => ({
      ...reading,
      drafts: drafts.map(({ found: { manifest, part, ...found }, references }) => ({
        found,
        references,
        manifest: manifest === null ? null : wire(manifest),
        part: part === undefined ? null : { ...wire(part), spec: part.spec, annotations: part.annotations },
      })),
    }),
  );
  return { pieces: cut(wired), positions: concat(positions) };
}

function concat(parts: readonly Int32Array[]): Int32Array<ArrayBuffer> {
  const whole = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** What {@link wireReadings} was given. */
export async function unwireReadings(
  { pieces, positions }: WiredReadings,
  breathe: Pace,
): Promise<FileReading[]> {
  const wired = (await join(pieces, breathe)) as readonly Wired[];
  let end = 0;
  const documentOf = ({ value, numbers }: WiredManifest): Located => {
    end += numbers;
    // A copy: one manifest that stays must not keep the positions of all that came with it.
    return { value, positions: positions.slice(end - numbers, end) };
  };
  return wired.map(({ drafts, ...reading }) => ({
    ...reading,
    drafts: drafts.map(({ found, references, manifest, part }) => {
      const whole = manifest === null ? null : makeManifest(found, documentOf(manifest), manifest.digest);
      if (part === null) return { found: { ...found, manifest: whole }, references };
      const { spec, annotations, digest } = part;
      const sound = { ...makeManifest(found, documentOf(part), digest), spec, annotations };
      return { found: { ...found, manifest: whole, part: sound }, references };
    }),
  }));
}
