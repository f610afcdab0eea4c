/** The words for what the YAML library finds: its messages are for people who know its insides. */

export interface SyntaxFault {
  readonly rule: string;
  readonly message: string;
  readonly hint: string | null;
}

const HINTS: Readonly<Record<string, string>> = {
  BAD_INDENT: 'indent it as far as what stands beside it',
  BAD_SCALAR_START: 'put quotes around the text',
  MULTILINE_IMPLICIT_KEY: 'a key needs a colon behind it, on its own line',
  TAB_AS_INDENT: 'indent with spaces',
  UNEXPECTED_TOKEN: 'check the indentation, and the quotes before this',
};

/** What an error of the library means. Its message may quote the source; that part is left out. */
export function explainSyntax(code: string, message: string): SyntaxFault {
  if (code === 'TAG_RESOLVE_FAILED' || code === 'BAD_COLLECTION_TYPE') {
    return {
      rule: 'yaml-tag',
      message: 'this tag is not known',
      hint: 'write the value without "!"; a text that begins with "!" needs quotes',
    };
  }
  if (code === 'NON_STRING_KEY') {
    return {
      rule: 'yaml-syntax',
      message: 'a key must be plain text, not a collection or an alias',
      hint: 'a template such as {{input.id}} needs quotes around it',
    };
  }
  if (message.startsWith('Missing closing')) {
    return { rule: 'yaml-syntax', message: 'YAML: the quote that begins here is never closed', hint: null };
  }
  if (message.startsWith('Nested mappings are not allowed')) {
    return {
      rule: 'yaml-syntax',
      message: 'YAML: this text has a colon in it, as if it were a field of its own',
      hint: 'put quotes around it, or indent the next line like this one',
    };
  }
  const open = /^Flow (map|sequence) /.exec(message)?.[1];
  if (open !== undefined) {
    const [bracket, end] = open === 'map' ? ['{', '}'] : ['[', ']'];
    const fault = `YAML: "${bracket}" is still open here`;
    return { rule: 'yaml-syntax', message: fault, hint: `close it with "${end}", or indent this line more` };
  }
  const token = /^Unexpected ([a-z-]+) (token|at node end)/.exec(message)?.[1];
  if (token !== undefined) {
    const fault = `YAML: unexpected ${TOKENS[token] ?? token}`;
    return { rule: 'yaml-syntax', message: fault, hint: HINTS.UNEXPECTED_TOKEN! };
  }
  return { rule: 'yaml-syntax', message: `YAML: ${withoutSource(message)}`, hint: HINTS[code] ?? null };
}

/** What the library calls the tokens that are most often in the wrong place. */
const TOKENS: Readonly<Record<string, string>> = {
  'flow-seq-end': '"]"',
  'flow-map-end': '"}"',
  'map-value-ind': '":"',
  'seq-item-ind': '"-"',
  'explicit-key-ind': '"?"',
  scalar: 'text after the value',
  'double-quoted-scalar': 'text after the value',
  'single-quoted-scalar': 'text after the value',
  'block-map': 'fields after the value',
  comma: '","',
};

function withoutSource(message: string): string {
  return message.replace(
    /(Not a YAML token|extra characters|Unexpected .* in YAML \w+|escape sequence)\b.*$/s,
    '$1',
  );
}
