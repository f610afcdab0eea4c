/** What people have made of a manifest since it was imported: all that would be lost with its file. */
import type { Manifest } from '../../manifest/manifest.ts';
import { commentsIn } from '../../manifest/rewrite.ts';
import { STATE } from './annotations.ts';
import { COMMENT } from './edit-yaml.ts';
import { digestOf, fieldsOf, readFingerprint, takenOut } from './fingerprint.ts';

/** `text`: of its file. In words for people; empty: nobody has touched it. */
export function handEdits(manifest: Manifest, text: string): string[] {
  const state = manifest.annotations[STATE];
  if (state === undefined) return [`all of it: it has no ${STATE}`];
  const fields = fieldsOf(manifest.document.value);
  const remembered = readFingerprint(state);
  const changed = [...fields].flatMap(([pointer, value]) =>
    remembered(pointer) === digestOf(value) ? [] : [fieldName(pointer)],
  );
  const gone = takenOut(fields, state);
  const comments = commentsIn(text, manifest.file, manifest).filter((comment) => comment !== `# ${COMMENT}`);
  return [
    ...changed,
    ...(gone > 0 ? [gone === 1 ? 'a field taken out' : `${gone} fields taken out`] : []),
    ...(comments.length > 0 ? [comments.length === 1 ? 'a comment' : `${comments.length} comments`] : []),
  ];
}

/** `/spec/input_schema/properties/id` as people call it. */
export function fieldName(pointer: string): string {
  const path = pointer.replace(/^\/(spec|metadata)\//, '').replace('input_schema/properties/', 'input.');
  return path.replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~');
}
