/** The package as it is published: packed, installed into an empty project, and used from there. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = new URL('../..', import.meta.url).pathname;

// It builds and installs, which takes a minute and a package registry.
describe.skipIf(process.env.SEAL_TEST_FULL !== '1')(
  'the package (SKIPPED without SEAL_TEST_FULL=1: make ci)',
  () => {
    let project: string;
    let gateway: ChildProcess | undefined;

    const run = (program: string, ...args: string[]): string =>
      execFileSync(program, args, { cwd: project, encoding: 'utf8' });
    const seal = (...args: string[]): string => run(join(project, 'node_modules/.bin/seal-gateway'), ...args);

    beforeAll(() => {
      project = mkdtempSync(join(tmpdir(), 'seal-package-'));
      const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', project], {
        cwd: ROOT,
        encoding: 'utf8',
      });
      // npm prints what prepack says before its own JSON.
      const [{ filename }] = JSON.parse(packed.slice(packed.indexOf('[\n')));
      writeFileSync(join(project, 'package.json'), '{"private": true, "type": "module"}\n');
      run('npm', 'install', '--loglevel=error', `./${filename}`);
    }, 300_000);

    afterAll(async () => {
      if (gateway?.exitCode === null) {
        const ended = new Promise((resolve) => gateway?.once('exit', resolve));
        gateway.kill('SIGTERM');
        await ended;
      }
      rmSync(project, { recursive: true, force: true });
    });

    test('holds what it needs, and no more', () => {
      const installed = join(project, 'node_modules/seal-gateway');
      for (const file of [
        'dist/main.js',
        'dist/client.d.ts',
        'schemas/ApiSpec.schema.json',
        'README.md',
        'LICENSE',
      ]) {
        expect.soft(existsSync(join(installed, file)), file).toBe(true);
      }
      for (const file of ['src', 'test', 'examples', 'gateway.d']) {
        expect.soft(existsSync(join(installed, file)), file).toBe(false);
      }
      expect(existsSync(join(project, 'node_modules/typescript'))).toBe(false);
    });

    test('has a command that explains itself', () => {
      const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
      expect(seal('--version').trim()).toBe(version);
      expect(seal('--help')).toContain('validate');
      expect(JSON.parse(seal('schema', 'ApiSpec')).title).toBe('ApiSpec');
    });

    test('scaffolds, validates, serves and ends when told to', async () => {
      seal('init');
      seal('validate');
      gateway = spawn(
        join(project, 'node_modules/.bin/seal-gateway'),
        ['serve', '--ready-file', 'ready.json'],
        {
          cwd: project,
          env: {
            ...process.env,
            SEAL_GATEWAY_BIND: '127.0.0.1:0',
            SEAL_GATEWAY_NETWORK_CONTROL_BIND_ADDR: '127.0.0.1:0',
            SEAL_GATEWAY_NETWORK_METRICS_BIND_ADDR: '127.0.0.1:0',
          },
          stdio: 'ignore',
        },
      );
      const ready = join(project, 'ready.json');
      for (let i = 0; i < 200 && !existsSync(ready); i += 1) await sleep(50);
      const { data } = JSON.parse(readFileSync(ready, 'utf8'));
      expect(seal('tools', '--gateway', data)).toContain('gateway.health');
      expect(seal('audit', 'verify')).not.toBe('');
      const ended = new Promise<number | null>((resolve) => gateway?.once('exit', resolve));
      gateway.kill('SIGTERM');
      expect(await ended).toBe(0);
    });

    test('slices large replies in a thread of its own', () => {
      const script = `
        const dist = './node_modules/seal-gateway/dist/execute/';
        const { createSlicer } = await import(dist + 'slicer.js');
        const { compileFields } = await import(dist + 'fields.js');
        const slicer = createSlicer();
        const bytes = Buffer.from(JSON.stringify(Array(400_000).fill(7)));
        const body = { bytes, content_type: 'application/json' };
        const request = { body, mask: null, fields: compileFields(['$[399999]']), probes: [], max_bytes: 1_000 };
        console.log((await slicer.slice(request, new AbortController().signal)).json, bytes.length);
        await slicer.close();`;
      // Nothing is left of the bytes: they went to the thread.
      expect(run(process.execPath, '--input-type=module', '-e', script).trim()).toBe('{"$[399999]":[7]} 0');
    });

    test('starts its threads', () => {
      const script = `
        const { createReadingThreads } = await import('./node_modules/seal-gateway/dist/reconcile/reading-threads.js');
        const warn = (_error, message) => console.log(message);
        const threads = createReadingThreads({ warn });
        const bytes = Buffer.from('# ' + 'x'.repeat(100_000) + '\\na: [');
        const [{ loose }] = await threads.readFiles([{ path: 'a.yaml', bytes, digest: '' }]);
        console.log(loose[0].message);
        await threads.close();
      `;
      // Where a thread cannot be started, the event loop reads, and says so.
      expect(run(process.execPath, '--input-type=module', '-e', script)).toBe(
        'YAML: "[" is still open here\n',
      );
    });

    test('has the client library, with its types', () => {
      const script =
        "import { generateKeyPair } from 'seal-gateway/client'; console.log((await generateKeyPair()).jwk.crv)";
      expect(run(process.execPath, '--input-type=module', '-e', script).trim()).toBe('Ed25519');
      writeFileSync(
        join(project, 'use.ts'),
        "import { SealClient } from 'seal-gateway/client';\nconst client: SealClient | null = null;\nexport default client;\n",
      );
      run(
        join(ROOT, 'node_modules/.bin/tsc'),
        '--noEmit',
        '--strict',
        '--module',
        'nodenext',
        '--target',
        'es2024',
        '--lib',
        'es2024,dom',
        '--ignoreConfig',
        'use.ts',
      );
    });
  },
);
