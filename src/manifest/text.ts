/** From the bytes of a file to text that a YAML lexer may see. */
import { type Diagnostic, errorAt, type Position } from './diagnostic.ts';

const START: Position = { line: 1, column: 1 };

// Also what the lexer of `yaml` uses for marks of its own (U+0002, U+0018, U+001F), which nobody may forge.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

/** The text of a UTF-8 file without its byte order mark, or why it is none. */
export function decodeText(file: string, bytes: Uint8Array): string | Diagnostic {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return errorAt(file, START, 'not-utf8', 'the file is not UTF-8 text', 'save it as UTF-8');
  }
  const control = CONTROL.exec(text);
  if (control === null) return text;
  const code = control[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
  return errorAt(
    file,
    positionOf(text, control.index),
    'control-character',
    `the file holds the control character U+${code}`,
    'a manifest is plain text; in double quotes an escape such as "\\u0001" may be written',
  );
}

function positionOf(text: string, offset: number): Position {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: offset - lineStart + 1 };
}
