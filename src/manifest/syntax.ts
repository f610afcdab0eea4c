/** The words for what the YAML library finds: its messages are for people who know its insides. */

export interface SyntaxFault {
  readonly rule: string;
  readonly message: string;
  readonly hint: string | null;
}

const HINTS: Readonly<Record<string, string>> = {
  BAD_SCALAR_START: 'put quotes around the text',
  BLOCK_AS_IMPLICIT_KEY: 'put quotes around a text that has a colon and a space in it',
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
      message: 'a key must be plain text, not a collection',
      hint: 'a template such as {{input.id}} needs quotes around it',
    };
  }
  if (message.startsWith('Missing closing')) {
    return { rule: 'yaml-syntax', message: 'YAML: the quote that begins here is never closed', hint: null };
  }
  return { rule: 'yaml-syntax', message: `YAML: ${withoutSource(message)}`, hint: HINTS[code] ?? null };
}

function withoutSource(message: string): string {
  return message.replace(
    /(Not a YAML token|extra characters|Unexpected .* in YAML \w+|escape sequence)\b.*$/s,
    '$1',
  );
}
