/** The floor of a first reading, a process of its own: every file is read and parsed as YAML, and nothing else is done. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

export interface YamlFloor {
  readonly files: number;
  readonly bytes: number;
  readonly read_ms: number;
  readonly parse_ms: number;
}

process.send?.(measure(process.argv[2]!), () => process.exit());

function measure(dir: string): YamlFloor {
  const began = performance.now();
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.ya?ml$/.test(name),
  );
  const texts = names.map((name) => readFileSync(join(dir, name), 'utf8'));
  const read = performance.now();
  // To compare each key with each other is the library's choice, not a part of reading.
  for (const text of texts)
    for (const document of parseAllDocuments(text, { uniqueKeys: false })) document.toJS();
  const parse_ms = performance.now() - read;
  const bytes = texts.reduce((sum, { length }) => sum + length, 0);
  return { files: texts.length, bytes, read_ms: read - began, parse_ms };
}
