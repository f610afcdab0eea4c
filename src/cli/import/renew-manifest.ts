/** An import made again: a manifest that is there, and what its document says now. */
import type { Manifest } from '../../manifest/manifest.ts';
import { OPERATION, OPTIONS, SOURCE, STATE } from './annotations.ts';
import type { Directory } from './directory.ts';
import { readFingerprint } from './fingerprint.ts';
import { fieldName } from './hand-edits.ts';
import { mergeManifest } from './merge.ts';
import type { Row } from './request.ts';

/** What has changed when only the import's own annotations have. */
const CHANGED_NOTES: Readonly<Record<string, string>> = {
  [OPERATION]: 'its operation is elsewhere in the document',
  [SOURCE]: 'its document is from elsewhere',
  [OPTIONS]: 'its flags',
};

/** Changes a manifest that is there by what the document has changed. */
export function renewManifest(
  directory: Directory,
  existing: Manifest,
  generated: unknown,
): Pick<Row, 'action' | 'note'> {
  const state = existing.annotations[STATE];
  if (state === undefined) return { action: 'unchanged', note: `by hand alone: it has no ${STATE}` };
  const { edits, updated, kept, edited } = mergeManifest(
    existing.document.value,
    generated,
    readFingerprint(state),
  );
  const own = (generated as { metadata: { annotations: Record<string, string> } }).metadata.annotations;
  const notes = [OPERATION, SOURCE, OPTIONS, STATE].flatMap((key) =>
    own[key] === undefined || own[key] === existing.annotations[key]
      ? []
      : [{ path: ['metadata', 'annotations', key], value: own[key] }],
  );
  if (edits.length + notes.length > 0) directory.edit(existing, [...edits, ...notes]);
  const said = (what: string, fields: readonly string[]): string[] =>
    fields.length === 0 ? [] : [`${what}: ${fields.map(fieldName).join(', ')}`];
  const [first] = notes;
  if (updated.length + kept.length === 0 && first !== undefined && first.path.at(-1) !== STATE)
    return { action: 'updated', note: CHANGED_NOTES[first.path.at(-1)!]! };
  if (updated.length + kept.length === 0)
    return { action: 'unchanged', note: said('as edited by hand', edited).join('') };
  const note = [
    ...said('changed', updated),
    ...said('kept as edited by hand, though the document has changed it', kept),
  ];
  return { action: updated.length > 0 ? 'updated' : 'kept', note: note.join('; ') };
}
