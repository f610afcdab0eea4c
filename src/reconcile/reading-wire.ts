/** What a thread has read, as it is sent to the event loop: the least from which the same can be made there. */
import type { Found } from '../manifest/manifest.ts';
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
  readonly found: Omit<Found, 'manifest'>;
  readonly references: Draft['references'];
  /** null: it has errors. */
  readonly manifest: {
    readonly value: Located['value'];
    /** How many numbers of the positions are its own. */
    readonly numbers: number;
    readonly digest: string;
  } | null;
}

export function wireReadings(readings: readonly FileReading[]): WiredReadings {
  const positions: Int32Array[] = [];
  const wired = readings.map(
    ({ drafts, ...reading }): Wired => ({
      ...reading,
      drafts: drafts.map(({ found: { manifest, ...found }, references }) => {
        if (manifest === null) return { found, references, manifest };
        const { document, digest } = manifest;
        positions.push(document.positions);
        const { value, positions: own } = document;
        return { found, references, manifest: { value, numbers: own.length, digest } };
      }),
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
  return wired.map(({ drafts, ...reading }) => ({
    ...reading,
    drafts: drafts.map(({ found, references, manifest }) => {
      if (manifest === null) return { found: { ...found, manifest }, references };
      const { value, numbers, digest } = manifest;
      end += numbers;
      // A copy: one manifest that stays must not keep the positions of all that came with it.
      const document = { value, positions: positions.slice(end - numbers, end) };
      return { found: { ...found, manifest: makeManifest(found, document, digest) }, references };
    }),
  }));
}
