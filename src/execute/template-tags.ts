/**
 * Looks at the tags of a template text before Handlebars parses it, for two things that its parser does badly:
 * it takes `}}}` for the end of `{{{`, though in JSON an expression is often the last of an object, as in
 * `{"n": {{input.n}}}`; and it takes seconds for tags that nest a thousand deep.
 */

/** Blocks within blocks (each `else if` counts as one), and parentheses of one tag. */
const MAX_DEPTH = 32;

/** Stands between the braces that end a tag and those that follow it. */
const COMMENT = '{{!}}';

const LONG_COMMENT = /~?!--/y;
const SHORT_COMMENT = /~?!/y;
/** What may hold braces or parentheses that mean nothing: texts, and names in brackets. */
const LITERAL = /"(?:\\"|[^"])*"|'(?:\\'|[^'])*'|\[[^\]]*\]/y;
const OPENS_BLOCK = /^\{\{~?(?:#|\^\s*[^\s~}])/;
const CLOSES_BLOCK = /^\{\{~?\//;
const CHAINS_BLOCK = /^\{\{~?\s*else\s+[^\s~}]/;

export interface Tagged {
  /** The text for Handlebars. */
  readonly text: string;
  /** The offset that one of that text has in the text as written. */
  writtenAt(offset: number): number;
}

interface Tag {
  /** Offset after its closing braces. */
  readonly end: number;
  readonly parentheses: number;
}

/** Why a text cannot be read, and where. */
export interface Unreadable {
  readonly problem: string;
  readonly offset: number;
}

export function readTags(written: string): Tagged | Unreadable {
  const blocks = countBlocks();
  const comments: number[] = [];
  let text = '';
  let copied = 0;
  for (let open = written.indexOf('{{'); open >= 0; open = written.indexOf('{{', open)) {
    if (isEscaped(written, open)) {
      open += 2;
      continue;
    }
    if (written[open + 2] === '{') {
      return {
        problem: 'write {{ without a third brace; a { before it is kept apart by a space',
        offset: open,
      };
    }
    const tag = readTag(written, open);
    if (tag === null) return { problem: 'this {{ has no }} after it', offset: open };
    if (tag.parentheses > MAX_DEPTH || blocks.pass(written.slice(open, tag.end)) > MAX_DEPTH) {
      return { problem: `blocks and expressions nest ${MAX_DEPTH} deep at most`, offset: open };
    }
    open = tag.end;
    if (written[open] !== '}') continue;
    text += written.slice(copied, open);
    copied = open;
    comments.push(text.length);
    text += COMMENT;
  }
  return {
    text: text + written.slice(copied),
    writtenAt: (offset) => offset - COMMENT.length * countBelow(comments, offset),
  };
}

/** As Handlebars has it: one backslash makes a tag text, two are a backslash before a tag. */
function isEscaped(text: string, open: number): boolean {
  return text[open - 1] === '\\' && text[open - 2] !== '\\';
}

function readTag(text: string, open: number): Tag | null {
  const inside = open + 2;
  if (matches(LONG_COMMENT, text, inside)) {
    const close = /--~?\}\}/g;
    close.lastIndex = inside;
    return close.test(text) ? { end: close.lastIndex, parentheses: 0 } : null;
  }
  if (matches(SHORT_COMMENT, text, inside)) {
    const close = text.indexOf('}}', inside);
    return close < 0 ? null : { end: close + 2, parentheses: 0 };
  }
  let parentheses = 0;
  for (let at = inside; at < text.length; at++) {
    const character = text[at]!;
    if (character === '}' && text[at + 1] === '}') return { end: at + 2, parentheses };
    if (character === '(') parentheses += 1;
    if (!`"'[`.includes(character)) continue;
    if (!matches(LITERAL, text, at)) return null;
    at = LITERAL.lastIndex - 1;
  }
  return null;
}

/** Follows the blocks of a text: `pass` takes a tag, and gives how deep the text is now. */
function countBlocks(): { pass(tag: string): number } {
  let depth = 0;
  const open: number[] = [];
  return {
    pass(tag) {
      if (OPENS_BLOCK.test(tag)) {
        open.push(1);
        depth += 1;
      } else if (CHAINS_BLOCK.test(tag) && open.length > 0) {
        open[open.length - 1]! += 1;
        depth += 1;
      } else if (CLOSES_BLOCK.test(tag)) depth -= open.pop() ?? 0;
      return depth;
    },
  };
}

function matches(pattern: RegExp, text: string, at: number): boolean {
  pattern.lastIndex = at;
  return pattern.test(text);
}

/** How many numbers of an ascending list are below the limit. */
function countBelow(ascending: readonly number[], limit: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
