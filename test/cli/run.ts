/** Runs one command line as the program does, with its output caught. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { run } from '../../src/cli/program.ts';
import type { StartGateway } from '../../src/cli/serve.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const noGateway: StartGateway = () => Promise.reject(new Error('no gateway in this test'));

export async function runCli(argv: readonly string[], startGateway = noGateway): Promise<Ran> {
  let out = '';
  let err = '';
  const console = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
  };
  const code = await run(argv, { startGateway, console });
  return { code, out, err };
}

/** A directory that is removed after the test. */
export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'seal-cli-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
