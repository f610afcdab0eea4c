/**
 * Handlebars reads `}}}` as the end of `{{{`, but in JSON an expression is often the last of an object:
 * `{"n": {{input.n}}}`. So an empty comment is put between the braces that end a tag and those that follow.
 */

const COMMENT = '{{!}}';

export interface SeparatedText {
  readonly text: string;
  /** The offset that one of the separated text has in the text as written. */
  writtenAt(offset: number): number;
}

export function separateBraces(written: string): SeparatedText {
  let text = '';
  let copied = 0;
  /** Where comments stand in the separated text. */
  const comments: number[] = [];
  for (let open = written.indexOf('{{'); open >= 0; open = written.indexOf('{{', copied)) {
    const end = tagEnd(written, open);
    if (end === null) break;
    text += written.slice(copied, end);
    copied = end;
    if (written[open + 2] !== '{' && written[end] === '}') {
      comments.push(text.length);
      text += COMMENT;
    }
  }
  return {
    text: text + written.slice(copied),
    writtenAt: (offset) => offset - COMMENT.length * comments.filter((at) => at < offset).length,
  };
}

/** The offset after the braces that end the tag; null when there are none. */
function tagEnd(text: string, open: number): number | null {
  const inside = open + (text[open + 2] === '{' ? 3 : 2);
  if (text.startsWith('!--', inside) || text.startsWith('~!--', inside)) {
    const close = /--~?\}\}/g;
    close.lastIndex = inside;
    return close.exec(text) === null ? null : close.lastIndex;
  }
  // A text or a name in brackets may hold braces; a comment has no texts.
  const isComment = text[inside] === '!' || text.startsWith('~!', inside);
  const close = isComment ? /\}\}/y : /"(?:\\"|[^"])*"|'(?:\\'|[^'])*'|\[[^\]]*\]|\}\}/y;
  for (let at = inside; at < text.length; at++) {
    close.lastIndex = at;
    const token = close.exec(text)?.[0];
    if (token === undefined) continue;
    at += token.length - 1;
    if (token === '}}') return at + 1;
  }
  return null;
}
