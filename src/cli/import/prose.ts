/** Descriptions of documents as those of tools: plain, and no longer than a model that chooses tools will read. */

/** The text without links, pictures, bold type, quotation marks of notes and blank lines, cut at the end of a sentence or a word. */
export function prose(text: string, most: number): string {
  const plain = text
    .replace(/!?\[([^\]\n]*)\]\([^)\s]*\)/g, '$1')
    .replace(/\r\n?/g, '\n')
    // A note as GitHub marks it: `> [!NOTE]`, and its text on lines that begin so too.
    .replace(/^ {0,3}> *\[!\w+\] *\n/gm, '')
    .replace(/^ {0,3}> ?/gm, '')
    .replace(/(^|[\s(])\*\*(?=\S)([^*\n]*[^*\s])\*\*/g, '$1$2')
    .replace(/[^\S\n]+$/gm, '')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they have no place in a manifest
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, '')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
    .toWellFormed();
  if (plain.length <= most) return plain;
  const head = plain.slice(0, most - 1);
  const sentence = /^[\s\S]*[.!?](?=\s)/.exec(head)?.[0] ?? '';
  if (sentence.length > most / 2) return sentence;
  return `${head.replace(/\s+\S*$/, '')}…`.toWellFormed();
}
