/**
 * docs/quickstart.md as it stands, and the guides that go on where it ends or begin anew: every command of their console
 * blocks is run, and says what the page shows.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT, readText } from './page.ts';

interface Command {
  readonly text: string;
  /** What the page shows below it; `...` stands for anything. */
  readonly shown: string;
}

interface Said {
  readonly text: string;
  /** Exit code 0. */
  readonly ok: boolean;
}

/** Those of a line in this order, in one shell. */
const PAGES = [['docs/quickstart.md', 'docs/guides/explorer.md'], ['docs/guides/openapi.md']];
const MARK = '---end-of-command---';
const ENDED = new RegExp(`${MARK}(\\d+)\n`);
/** How a command that fails begins what it says; `can-i` fails when the answer is no. */
const FAILED = /^(?:seal-gateway|denied): /;
describe.each(PAGES.map((pages) => ({ pages })))('$pages', ({ pages }) => {
  let directory: string;
  let shell: ChildProcessWithoutNullStreams;
  let output = '';
  let commands: readonly Command[];

  beforeAll(async () => {
    const [data, control, crm] = [await freePort(), await freePort(), await freePort()];
    commands = pages.flatMap((page) => commandsOf(readText(page).replaceAll(':9001', `:${crm}`)));
    directory = mkdtempSync(join(tmpdir(), 'seal-quickstart-'));
    const { SEAL_GATEWAY_URL: _url, ...env } = process.env;
    shell = spawn('bash', ['--norc'], {
      cwd: directory,
      detached: true,
      env: {
        ...env,
        SEAL_CLONE: ROOT.pathname.replace(/\/$/, ''),
        SEAL_GATEWAY_URL: `http://127.0.0.1:${data}`,
        SEAL_GATEWAY_BIND: `127.0.0.1:${data}`,
        SEAL_GATEWAY_CONTROL_URL: `http://127.0.0.1:${control}`,
        SEAL_GATEWAY_NETWORK_CONTROL_BIND_ADDR: `127.0.0.1:${control}`,
        SEAL_GATEWAY_NETWORK_METRICS_BIND_ADDR: '127.0.0.1:0',
      },
    });
    shell.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    // What runs in the background talks to a file; the ports are free ones, and the scaffold's tool asks the gateway itself.
    shell.stdin.write(`exec 2>&1
      seal-gateway() {
        if [ "$1" = serve ]; then exec '${process.execPath}' "$SEAL_CLONE/src/main.ts" "$@" > serve.log 2>&1; fi
        '${process.execPath}' "$SEAL_CLONE/src/main.ts" "$@" || return
        if [ "$1" = init ]; then sed -i 's/:8089/:${data}/' "$2"/gateway.yaml "$2"/gateway.d/*.yaml; fi
      }
      node() { exec '${process.execPath}' "$@" ${crm} > node.log 2>&1; }
    `);
  });

  afterAll(async () => {
    const ended = new Promise((resolve) => shell.once('exit', resolve));
    // The whole group: the shell, the gateway and the CRM that it started.
    process.kill(-shell.pid!, 'SIGTERM');
    shell.kill('SIGKILL');
    await ended;
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });

  test('every command says what the page shows', { timeout: 120_000 }, async () => {
    expect(commands.length).toBeGreaterThan(12);
    for (const command of commands) {
      // What was started or changed a moment ago is not there at once.
      const patience = performance.now() + 10_000;
      let said = await say(command.text);
      while (
        !fits(said, command.shown) &&
        /^seal-gateway (?:call|tools|explore)/.test(command.text) &&
        performance.now() < patience
      ) {
        await sleep(100);
        said = await say(command.text);
      }
      expect(
        fits(said, command.shown),
        `$ ${command.text}\n${said.text}\nthe page shows:\n${command.shown}`,
      ).toBe(true);
    }
  });

  async function say(text: string): Promise<Said> {
    output = '';
    shell.stdin.write(`${text}\necho "${MARK}$?"\n`);
    const patience = performance.now() + 30_000;
    while (!ENDED.test(output)) {
      if (performance.now() > patience) throw new Error(`no end of: ${text}\n${output}`);
      await sleep(5);
    }
    const [, status] = ENDED.exec(output)!;
    return { text: output.slice(0, output.indexOf(MARK)).trimEnd(), ok: status === '0' };
  }
});

function fits(said: Said, shown: string): boolean {
  if (said.ok === FAILED.test(shown)) return false;
  const pattern = shown.split('...').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${pattern.join('[\\s\\S]*')}$`).test(said.text);
}

function commandsOf(page: string): Command[] {
  const blocks = [...page.matchAll(/^```console\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
  return blocks.flatMap((block) =>
    block.split(/^\$ /m).flatMap((part) => {
      if (part.trim() === '') return [];
      const lines = part.trimEnd().split('\n');
      const end = lines[0]?.includes("<<'END'") ? lines.indexOf('END') + 1 : 1;
      return [{ text: lines.slice(0, end).join('\n'), shown: lines.slice(end).join('\n') }];
    }),
  );
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
