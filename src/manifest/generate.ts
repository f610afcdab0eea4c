/**
 * Writes what follows from the schemas: `node src/manifest/generate.ts types` the TypeScript types, `docs` the
 * reference page. With `--check` nothing is written, and it fails when the committed file differs. For
 * development alone: the gateway never imports it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { KINDS, readSchema } from './kind.ts';
import { renderReference } from './reference-page.ts';
import { renderTypes } from './schema-types.ts';

const TARGETS = {
  types: { file: new URL('./types.ts', import.meta.url), render: renderTypes },
  docs: { file: new URL('../../docs/reference/manifests.md', import.meta.url), render: renderReference },
} as const;

type Target = keyof typeof TARGETS;

/** The committed and the newly made text of a target. */
export async function generate(target: Target): Promise<{ committed: string | null; current: string }> {
  const { file, render } = TARGETS[target];
  const current = await render(KINDS.map((kind) => ({ kind, schema: readSchema(kind) })));
  return { committed: readIfThere(file), current };
}

function readIfThere(file: URL): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function main(args: readonly string[]): Promise<number> {
  const [target] = args;
  if (target !== 'types' && target !== 'docs') {
    console.error('usage: node src/manifest/generate.ts types|docs [--check]');
    return 1;
  }
  const { committed, current } = await generate(target);
  if (committed === current) return 0;
  if (args.includes('--check')) {
    console.error(
      `${TARGETS[target].file.pathname} is not current: run node src/manifest/generate.ts ${target}`,
    );
    return 1;
  }
  writeFileSync(TARGETS[target].file, current);
  return 0;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
