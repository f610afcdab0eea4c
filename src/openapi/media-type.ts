/** How the gateway writes a body of some media type. */
import type { BodyKind } from './operation.ts';

/** The order in which the media types of an operation are preferred. */
export const PREFERENCE: readonly BodyKind[] = ['json', 'form', 'multipart', 'text', 'binary'];

const MEDIA_TYPE = /^[!#$&^_.+*0-9a-z-]+\/[!#$&^_.+*0-9a-z-]+$/;
const TEXT = /^text\/|[/+](xml|yaml|x-yaml|graphql|javascript|sql|x-ndjson|jsonl)$/;

/** A media type in lower case without its parameters; null: it is none. */
export function bareType(text: string): string | null {
  const bare = (text.split(';', 1)[0] ?? '').trim().toLowerCase();
  return MEDIA_TYPE.test(bare) ? bare : null;
}

/** null: a multipart type other than form-data, which has no form that a value could be written in. */
export function kindOf(mediaType: string): BodyKind | null {
  if (isJson(mediaType) || mediaType === '*/*' || mediaType === 'application/*') return 'json';
  if (mediaType === 'application/x-www-form-urlencoded') return 'form';
  if (mediaType === 'multipart/form-data') return 'multipart';
  if (mediaType.startsWith('multipart/')) return null;
  return TEXT.test(mediaType) ? 'text' : 'binary';
}

export function isJson(mediaType: string): boolean {
  return /^(application|text)\/(.+\+)?json$/.test(mediaType);
}

/** Whether a range such as `image/*` covers a media type. */
export function covers(range: string, mediaType: string): boolean {
  if (range === '*/*' || range === mediaType) return true;
  return range.endsWith('/*') && mediaType.startsWith(range.slice(0, -1));
}
