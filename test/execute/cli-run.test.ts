import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createMask } from '../../src/credentials/mask.ts';
import { Secret } from '../../src/credentials/secret.ts';
import { NAME_PREFIX } from '../../src/execute/container-create.ts';
import { thisInstance } from '../../src/execute/instance.ts';
import { newId } from '../../src/ids.ts';
import { containersLeft, describeOnEngines, haveBusybox, socketOf } from '../support/engines.ts';
import { callOf, prepare, runnerOn, shell } from './cli-running.ts';

const PATIENTLY = { timeout: 20_000, interval: 100 };

describeOnEngines('a call in a container', (engine) => {
  const { address } = engine;
  beforeAll(() => haveBusybox(engine));

  const run = (script: string, written = {}) => callOf(runnerOn({ address }), shell(script, written));
  const output = async (script: string, written = {}) => (await run(script, written)).result.stdout;
  const gone = (call_id: string) =>
    expect
      .poll(async () => (await containersLeft(engine)).filter((one) => one.includes(call_id)), PATIENTLY)
      .toEqual([]);

  test('answers with what it wrote and how it ended, and is gone', async () => {
    const call_id = newId();
    const tool = shell('echo out; echo err >&2; exit 3');
    expect(await callOf(runnerOn({ address }), tool, { call_id })).toEqual({
      result: { exit_code: 3, stdout: 'out\n', stderr: 'err\n', truncated: false },
      stdout_bytes: 4,
      stderr_bytes: 4,
      run_ms: expect.any(Number),
    });
    await gone(call_id);
  });

  test('has no capability, no new privileges, a filter of system calls, and its own user', async () => {
    const status = await output('cat /proc/self/status; id -u; id -g');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      expect(status).toContain(`${set}:\t0000000000000000`);
    }
    expect(status).toContain('NoNewPrivs:\t1');
    expect(status).toContain('Seccomp:\t2');
    expect(status).toMatch(/\n65534\n65534\n$/);
    expect(await output('id -u; id -g', { user: '1000:1001' })).toBe('1000\n1001\n');
  });

  test('has a root that cannot be written, and a small /tmp from which nothing runs', async () => {
    const { stdout, stderr } = (await run('touch /x; cp /bin/busybox /tmp/b && echo copied && /tmp/b true'))
      .result;
    expect(stderr).toMatch(/Read-only file system/);
    expect(stdout).toBe('copied\n');
    expect(stderr).toMatch(/Permission denied/);
    expect(await output('mount | grep " / "')).toMatch(/[(,]ro[,)]/);
  });

  test('has no network', async () => {
    expect(await output('ls /sys/class/net')).toBe('lo\n');
  });

  test('is held to its limits', async () => {
    const written = { resources: { memory: '40Mi', cpus: 0.5, pids: 20, open_files: 100 } };
    const call_id = newId();
    const held = callOf(runnerOn({ address }), shell('ulimit -n; sleep 1', written), { call_id });
    await expect
      .poll(
        () =>
          engine.api
            .getContainer(NAME_PREFIX + call_id)
            .inspect()
            .then(
              ({ State }) => State.Running,
              () => false,
            ),
        PATIENTLY,
      )
      .toBe(true);
    const { HostConfig } = await engine.api.getContainer(NAME_PREFIX + call_id).inspect();
    expect(HostConfig).toMatchObject({ Memory: 40 * 2 ** 20, MemorySwap: 40 * 2 ** 20, PidsLimit: 20 });
    expect(HostConfig.NanoCpus).toBe(5e8);
    expect((await held).result.stdout).toBe('100\n');
  });

  test('has a clean environment', async () => {
    const names = (await output('env', { env: { LANG: 'C' } })).split('\n').map((line) => line.split('=')[0]);
    const told = new Set(['HOME', 'LANG', 'PATH', 'HOSTNAME', 'PWD', 'SHLVL', 'TERM', 'container', '']);
    expect(names.filter((name) => !told.has(name!))).toEqual([]);
    expect(await output('echo $HOME')).toBe('/tmp\n');
  });

  test('reads its standard input to the end, and an empty one when there is none', async () => {
    const runner = runnerOn({ address });
    const stdin = `${'line\n'.repeat(50_000)}end`;
    expect((await callOf(runner, shell('wc -c'), { stdin })).result.stdout.trim()).toBe(String(stdin.length));
    expect((await callOf(runner, shell('wc -c'))).result.stdout.trim()).toBe('0');
  });

  // Podman loses the output beside a standard input that breaks, about every second time here.
  test.each([
    ['closes', 'exec <&-; sleep 0.1; echo whole', 'whole\n'],
    ['reads the beginning of', 'head -c 4', 'line'],
    ['does not look at', 'echo whole', 'whole\n'],
  ])('is heard to its end when it %s its standard input', async (_, script, stdout) => {
    const runner = runnerOn({ address });
    const stdin = 'line\n'.repeat(50_000);
    const calls = [1, 2, 3, 4, 5, 6].map(() => callOf(runner, shell(script), { stdin }));
    expect((await Promise.all(calls)).map(({ result }) => result.stdout)).toEqual(calls.map(() => stdout));
  });

  test('is cut where it writes too much, and still runs to its end', async () => {
    const { result, stdout_bytes } = await run('yes é | head -c 3000000; echo kept >&2; exit 4', {
      max_output_bytes: 1_001,
    });
    expect(result).toMatchObject({ exit_code: 4, stderr: 'kept\n', truncated: true });
    expect(stdout_bytes).toBe(3_000_000);
    // 1,001 bytes end in the middle of a letter.
    expect(result.stdout).toBe(`${'é\n'.repeat(333)}é`);
    expect(result.stdout).not.toContain('\uFFFD');
  });

  test('may write what is no text', async () => {
    expect((await run('printf "a\\377\\000b"')).result).toMatchObject({ stdout: 'a\uFFFD\0b', exit_code: 0 });
  });

  test('is killed at its time, also when it ignores signals', async () => {
    const call_id = newId();
    const tool = shell("trap '' TERM INT HUP; while true; do sleep 1; done", { default_timeout_seconds: 1 });
    await expect(callOf(runnerOn({ address }), tool, { call_id })).rejects.toMatchObject({
      name: 'CLI_TIMEOUT',
      details: { timeout_ms: 1_000 },
    });
    await gone(call_id);
  });

  test('is killed when its caller goes away', async () => {
    const call_id = newId();
    const caller = new AbortController();
    const call = callOf(runnerOn({ address }), shell('sleep 60'), { call_id, signal: caller.signal });
    await expect
      .poll(() => containersLeft(engine), PATIENTLY)
      .toContainEqual(expect.stringMatching(`${call_id} running`));
    caller.abort();
    await expect(call).rejects.toMatchObject({ name: 'CLI_TIMEOUT', details: { reason: 'caller_gone' } });
    await gone(call_id);
  });

  test('that floods is killed at its time', async () => {
    await expect(run('yes', { default_timeout_seconds: 1 })).rejects.toMatchObject({
      name: expect.stringMatching(/^(CLI_TIMEOUT|RESPONSE_TOO_LARGE)$/),
    });
  });

  test('that takes all memory is told apart', async () => {
    await expect(run('tail /dev/zero', { resources: { memory: '16Mi' } })).rejects.toMatchObject({
      name: 'CONTAINER_FAILED',
      // Podman 4.3 hears nothing of it from the first version of control groups.
      details: {
        reason: engine.name === 'docker' ? 'out_of_memory' : expect.stringMatching('killed|out_of_memory'),
      },
    });
  });

  test('that forks without end stays within its processes', async () => {
    const bomb = 'f() { f | f & }; f; sleep 30';
    const tool = { default_timeout_seconds: 2, resources: { memory: '64Mi', pids: 20 } };
    const outcome = await run(bomb, tool).catch((error: Error) => error.name);
    expect(['CLI_TIMEOUT', 'CONTAINER_FAILED']).toContain(
      typeof outcome === 'string' ? outcome : 'CONTAINER_FAILED',
    );
    expect(await output('echo well')).toBe('well\n');
  });

  test('on a full disk says so itself', async () => {
    const { exit_code, stderr } = (
      await run('head -c 100000000 /dev/zero > /tmp/x', { resources: { memory: '256Mi' } })
    ).result;
    expect(exit_code).toBe(1);
    expect(stderr).toMatch(/No space left|I\/O error/);
  });

  test.each([
    ['a program that is not there', { command: ['nothing'] }, 'refused'],
    ['an image that is not there', { image: 'localhost/seal-test/none:1' }, 'image'],
    [
      'a digest that is not there',
      { image: `localhost/seal-test/busybox@sha256:${'0'.repeat(64)}` },
      'image',
    ],
  ])('cannot be run: %s', async (_, written, reason) => {
    await expect(run('true', written)).rejects.toMatchObject({
      name: 'CONTAINER_FAILED',
      details: { reason },
    });
  });

  test('with a runtime that the engine has not is not run with another', async () => {
    await expect(run('true', { runtime: 'runsc' })).rejects.toMatchObject({ name: 'CONTAINER_FAILED' });
  });

  test('with a network that is not listed is not run', async () => {
    await expect(run('true', { network: 'host' })).rejects.toMatchObject({ name: 'TOOL_UNAVAILABLE' });
  });

  describe('with mounts', () => {
    const root = mkdtempSync(join(tmpdir(), 'seal-mounts-'));
    const outside = mkdtempSync(join(tmpdir(), 'seal-outside-'));
    mkdirSync(join(root, 'data'));
    writeFileSync(join(root, 'data/file'), 'content\n');
    writeFileSync(join(outside, 'file'), 'not for tools\n');
    symlinkSync(outside, join(root, 'link'));
    const mounted = (source: string, more = {}) =>
      callOf(
        runnerOn({ address, settings: { mount_roots: [root] } }),
        shell('cat /m/file; echo x > /m/new && echo written', {
          mounts: [{ source, target: '/m', ...more }],
        }),
      );

    test('sees them, and cannot write to them', async () => {
      const { stdout, stderr } = (await mounted(join(root, 'data'))).result;
      expect(stdout).toBe('content\n');
      expect(stderr).toMatch(/Read-only file system/);
    });

    test.each([
      ['outside of the roots', outside],
      ['a link that leads out', join(root, 'link')],
      ['that are not there', join(root, 'none')],
      ['of a name that begins like a root', `${root}x`],
    ])('is not run with ones %s', async (_, source) => {
      await expect(mounted(source)).rejects.toMatchObject({ name: 'TOOL_UNAVAILABLE' });
    });
  });

  describe('with a credential', () => {
    const content = new Secret('first-secret-line\nsecond-secret-line');
    const mask = createMask();
    mask.add(content);
    const credentials = {
      forContainer: async () => ({
        env: {},
        files: [{ path: '/run/secrets/token', content }],
        stdin: null,
        mask,
      }),
    };
    const bearer = (script: string) =>
      shell(script, {
        credential: { static_ref: { key: 'a' } },
        inject: { file: { path: '/run/secrets/token' } },
      });

    test('reads it from a file in memory, which nobody else sees', async () => {
      const call_id = newId();
      const runner = runnerOn({ address, credentials });
      const call = callOf(
        runner,
        bearer('wc -c < /run/secrets/token; env; mount | grep /run/secrets; sleep 1'),
        { call_id },
      );
      await expect
        .poll(() => containersLeft(engine), PATIENTLY)
        .toContainEqual(expect.stringMatching(`${call_id} running`));
      expect(JSON.stringify(await engine.api.getContainer(NAME_PREFIX + call_id).inspect())).not.toMatch(
        /secret-line/,
      );
      const { stdout } = (await call).result;
      expect(stdout).toMatch(/^36\n/);
      expect(stdout).not.toMatch(/secret-line/);
      expect(stdout).toMatch(/tmpfs on \/run\/secrets\/token .*ro/);
      await gone(call_id);
      await runner.close(5_000);
      expect(readdirSync('/dev/shm').filter((name) => name.includes(call_id))).toEqual([]);
    });

    test('that it prints does not reach the caller', async () => {
      const runner = runnerOn({ address, credentials });
      const { stdout } = (
        await callOf(runner, bearer('tail -n 1 /run/secrets/token; cat /run/secrets/token'))
      ).result;
      expect(stdout).toBe('[secret][secret]');
    });

    test('is not run where no memory holds it', async () => {
      const runner = runnerOn({ address, credentials, settings: { secrets_dir: tmpdir() } });
      await expect(callOf(runner, bearer('true'))).rejects.toMatchObject({ name: 'CREDENTIAL_UNAVAILABLE' });
    });
  });

  test('with a secret on standard input reads it there', async () => {
    const stdin = new Secret('on-standard-input');
    const runner = runnerOn({
      address,
      credentials: { forContainer: async () => ({ env: {}, files: [], stdin }) },
    });
    const tool = shell('wc -c', {
      stdin: false,
      credential: { static_ref: { key: 'a' } },
      inject: { stdin: {} },
    });
    expect((await callOf(runner, tool)).result.stdout.trim()).toBe('17');
  });

  test('waits for a place, and is refused when too many wait', async () => {
    const runner = runnerOn({ address, settings: { max_concurrency: 1, max_queue: 1 } });
    const calls = await Promise.allSettled([1, 2, 3].map(() => callOf(runner, shell('echo well'))));
    expect(
      calls.map((one) => (one.status === 'fulfilled' ? one.value.result.stdout : one.reason.name)),
    ).toEqual(['well\n', 'well\n', 'OVERLOADED']);
  });

  describe('on an engine that comes and goes', () => {
    /** A socket of its own in front of the engine's. */
    async function front() {
      const dir = mkdtempSync(join(tmpdir(), 'seal-front-'));
      const path = join(dir, 's.sock');
      const open = new Set<Socket>();
      const server = createServer((socket) => {
        const behind = connect(socketOf(address));
        for (const one of [socket, behind]) {
          open.add(one);
          one.on('error', () => {}).once('close', () => open.delete(one));
        }
        socket.pipe(behind).pipe(socket);
      });
      const close = () => {
        server.close();
        for (const one of open) one.destroy();
      };
      onTestFinished(() => {
        close();
        rmSync(dir, { recursive: true, force: true });
      });
      return {
        address: `unix://${path}`,
        listen: () => new Promise<void>((done) => server.listen(path, done)),
        close,
      };
    }

    test('fails while there is none, says why, and runs once it is there', async () => {
      const engineFront = await front();
      const runner = runnerOn({ address: engineFront.address });
      await expect(callOf(runner, shell('true'))).rejects.toMatchObject({ name: 'TOOL_UNAVAILABLE' });
      expect(runner.state()).toMatchObject({ name: null, error: expect.stringContaining('ENOENT') });
      await engineFront.listen();
      expect((await callOf(runner, shell('echo well'))).result.stdout).toBe('well\n');
      expect(runner.state()).toMatchObject({ name: engine.name, error: null });
    });

    test('fails when it dies in the middle, and what it left is removed when it is back', async () => {
      const call_id = newId();
      const engineFront = await front();
      await engineFront.listen();
      const runner = runnerOn({ address: engineFront.address });
      const call = callOf(runner, shell('sleep 60'), { call_id });
      await expect
        .poll(() => containersLeft(engine), PATIENTLY)
        .toContainEqual(expect.stringMatching(`${call_id} running`));
      engineFront.close();
      await expect(call).rejects.toMatchObject({
        name: 'CONTAINER_FAILED',
        details: { reason: 'engine_gone' },
      });
      await engineFront.listen();
      expect((await callOf(runner, shell('echo well'))).result.stdout).toBe('well\n');
      await gone(call_id);
    });
  });

  describe('that was started ahead', () => {
    const warm = (script: string, written = {}) => shell(script, { prewarm: 1, ...written });
    const waiting = async () => (await containersLeft(engine)).filter((one) => /warm-.* running$/.test(one));

    async function ready(tool: ReturnType<typeof shell>, credentials = {}) {
      const runner = runnerOn({ address, credentials });
      prepare(runner, [tool]);
      await expect.poll(waiting, PATIENTLY).toHaveLength(1);
      return { runner, first: (await waiting())[0]! };
    }

    test('serves one call, with all that holds for one of its own, and is gone', async () => {
      const script =
        'grep -E "Cap(Eff|Bnd)|NoNewPrivs|Seccomp:" /proc/self/status; id -u; echo $HOME; touch /x';
      const tool = warm(`${script}; ulimit -n; echo err >&2; exit 3`, { resources: { open_files: 100 } });
      const { runner, first } = await ready(tool);
      const { result } = await callOf(runner, tool);
      expect(result.stdout.split('\n')).toEqual([
        'CapEff:\t0000000000000000',
        'CapBnd:\t0000000000000000',
        'NoNewPrivs:\t1',
        'Seccomp:\t2',
        '65534',
        '/tmp',
        '100',
        '',
      ]);
      expect(result.stderr).toMatch(/Read-only file system[\s\S]*err\n$/);
      expect(result).toMatchObject({ exit_code: 3, truncated: false });
      await expect.poll(() => containersLeft(engine), PATIENTLY).not.toContain(first);
      // Another waits in its place.
      await expect.poll(waiting, PATIENTLY).toHaveLength(1);
      prepare(runner, []);
      await expect.poll(waiting, PATIENTLY).toEqual([]);
    });

    test('reads the standard input of its call; on Podman, which may lose the output then, one of its own does', async () => {
      const tool = warm('head -c 4');
      const { runner, first } = await ready(tool);
      const { result } = await callOf(runner, tool, { stdin: 'line\n'.repeat(50_000) });
      expect(result.stdout).toBe('line');
      if (engine.name === 'podman') expect(await waiting()).toContain(first);
      else await expect.poll(() => containersLeft(engine), PATIENTLY).not.toContain(first);
    });

    test('gets the credential of its call', async () => {
      const tool = warm('test "$TOKEN" = of-this-call && echo well', {
        credential: { static_ref: { key: 'a' } },
        inject: { env: { TOKEN: 'token' } },
      });
      const secrets = { env: { TOKEN: new Secret('of-this-call') }, files: [], stdin: null };
      const { runner } = await ready(tool, { forContainer: async () => secrets });
      expect((await callOf(runner, tool)).result.stdout).toBe('well\n');
    });

    test('is killed at its time, and with its memory', async () => {
      const tool = warm('sleep 60', { default_timeout_seconds: 1 });
      const { runner, first } = await ready(tool);
      await expect(callOf(runner, tool)).rejects.toMatchObject({ name: 'CLI_TIMEOUT' });
      await expect.poll(() => containersLeft(engine), PATIENTLY).not.toContain(first);
    });

    test('is made as it is needed where none waits', async () => {
      const tool = warm('echo well', { prewarm_idle: ['nothing'] });
      const runner = runnerOn({ address });
      prepare(runner, [tool]);
      expect((await callOf(runner, tool)).result.stdout).toBe('well\n');
    });
  });

  test('of a killed gateway is removed by another, and of a living one is not', async () => {
    // A process that has ended: its number is none of this machine.
    const [scope] = thisInstance().split('.');
    const callers: AbortController[] = [];
    const calls: Promise<unknown>[] = [];
    async function held(instance: string): Promise<string> {
      const [call_id, caller] = [newId(), new AbortController()];
      const runner = runnerOn({ address, instance });
      callers.push(caller);
      calls.push(callOf(runner, shell('sleep 60'), { call_id, signal: caller.signal }).catch(() => 'ended'));
      await expect
        .poll(() => containersLeft(engine), PATIENTLY)
        .toContainEqual(expect.stringMatching(`${call_id} running`));
      return call_id;
    }
    // In this order: each looks for what others left when it begins.
    const alive = await held(thisInstance());
    const dead = await held(`${scope}.4194300.1`);
    await callOf(runnerOn({ address }), shell('true'));
    await gone(dead);
    expect(await containersLeft(engine)).toContainEqual(expect.stringMatching(`${alive} running`));
    for (const caller of callers) caller.abort();
    await Promise.all(calls);
  });
});
