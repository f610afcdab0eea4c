/** The write API's way back to git: docs/guides/proposals.md, on a real gateway and a real repository. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import type { Gateway } from '../../src/cli/serve.ts';
import { loadConfig } from '../../src/config.ts';
import { silentLog } from '../../src/log.ts';
import { startGateway } from '../../src/main.ts';
import { openSqliteReader } from '../../src/store/sqlite.ts';
import { aContext, repository, runGit, scratchDir } from '../reconcile/repository.ts';
import { PATIENTLY } from '../support/gateway.ts';
import { newOperatorKey, OPERATOR_ISSUER, operatorClaims, operatorToken } from '../support/operator.ts';

const TWO = `# Guarded by the platform team.
${aContext('a')}---
# The second one.
${aContext('b')}`;

/** A gateway that follows a bare repository, and whose proposals go there. */
async function setUp(files: Record<string, string> = { 'gateway.d/two.yaml': TWO }) {
  const dir = scratchDir();
  const work = repository(files);
  const remote = join(dir, 'config.git');
  runGit(['clone', '--quiet', '--bare', work.dir, remote]);
  const key = newOperatorKey();
  writeFileSync(join(dir, 'jwks.json'), JSON.stringify(key.jwks));
  const config = join(dir, 'gateway.yaml');
  const names = ['bind_addr', 'control_bind_addr', 'metrics_bind_addr'];
  const database = join(dir, 'gateway.db');
  const spec = {
    network: Object.fromEntries(names.map((name) => [name, '127.0.0.1:0'])),
    database: { url: `sqlite://${database}` },
    auth: {
      operator_jwks_uri: pathToFileURL(join(dir, 'jwks.json')).href,
      operator_jwt_issuer: OPERATOR_ISSUER,
    },
    reconcile: { git: { url: remote, path: 'gateway.d', interval: 1, cache_dir: join(dir, 'follow') } },
    control: { git: { repo: remote, path: 'gateway.d', cache_dir: join(dir, 'propose') } },
  };
  writeFileSync(config, JSON.stringify({ apiVersion: 'seal.gateway/v1', kind: 'GatewayConfig', spec }));
  const gateway: Gateway = await startGateway(loadConfig(config, {}).config, silentLog);
  onTestFinished(() => gateway.close());
  const token = operatorToken(key, operatorClaims({ name: 'Olga Operator' }));
  return {
    git: (...args: string[]) => runGit(['--git-dir', remote, ...args]),
    remote,
    work,
    async ask(method: string, path: string, body?: unknown) {
      const response = await fetch(gateway.addresses.control! + path, {
        method,
        headers: { authorization: `Bearer ${token}` },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as Answer };
    },
    async events(type: string) {
      const trail = await openSqliteReader({ path: database });
      try {
        return (await trail.query({ event_type: type as 'ManifestProposed' })).map(({ payload }) => payload);
      } finally {
        await trail.close();
      }
    },
  };
}

interface Answer {
  readonly branch: string;
  readonly commit: string;
  readonly revision: string;
  readonly items: readonly { readonly name: string }[];
  readonly error?: { readonly message: string; readonly code?: number };
}

const SPEC = { description: 'x', capabilities: [{ tool_pattern: 'customer.*' }] };

test('a proposal is a commit by its operator that touches one manifest; merged, it is in force', async () => {
  const { git, ask, events } = await setUp();
  const before = (await ask('GET', '/v1/status')).body.revision;
  const { status, body } = await ask('PUT', '/v1/security-contexts/b', { spec: SPEC });
  expect([status, body.branch]).toEqual([
    202,
    expect.stringMatching(/^seal-gateway\/change-securitycontext-b-[0-9a-f]{12}$/),
  ]);
  expect(git('rev-parse', body.branch)).toBe(body.commit);
  expect(git('log', '-1', '--format=%an <%ae>|%s|%P', body.branch)).toBe(
    `Olga Operator <olga@example.com>|Change SecurityContext b|${before}`,
  );
  expect(git('diff', '--unified=0', '--format=', before, body.commit)).toMatch(
    /^diff [^\n]*two\.yaml b[^\n]*two\.yaml\nindex [^\n]*\n---[^\n]*\n\+\+\+[^\n]*\n@@[^\n]*\n-[^\n]*"a\.\*"[^\n]*\n\+[^\n]*customer\.\*[^\n]*$/,
  );
  // Nothing that the gateway does has changed, until it is merged.
  expect((await ask('GET', '/v1/status')).body.revision).toBe(before);
  git('update-ref', 'refs/heads/main', body.commit);
  await expect.poll(async () => (await ask('GET', '/v1/status')).body.revision, PATIENTLY).toBe(body.commit);
  expect(await events('ManifestProposed')).toMatchObject([
    {
      ...{ kind: 'SecurityContext', tenant: null, name: 'b', change: 'replace', file: 'two.yaml' },
      ...{ proposed_by: 'olga@example.com', branch: body.branch, commit: body.commit },
    },
  ]);
});

test('add and remove; the last manifest of a file takes it with it', async () => {
  const { git, ask } = await setUp({ 'gateway.d/a.yaml': aContext('a'), 'gateway.d/b.yaml': aContext('b') });
  const added = await ask('POST', '/v1/security-contexts', { name: 'c', ...SPEC });
  expect(git('show', `${added.body.commit}:gateway.d/contexts/c.yaml`)).toContain('name: c');
  const removed = await ask('DELETE', '/v1/security-contexts/b');
  expect(git('ls-tree', '-r', '--name-only', removed.body.commit)).toBe('gateway.d/a.yaml');
});

test('proposals of one moment, for one file and one manifest, are all there', async () => {
  const { git, ask } = await setUp();
  const answers = await Promise.all(
    Array.from({ length: 6 }, (_, n) =>
      ask('PATCH', `/v1/security-contexts/${n % 2 === 0 ? 'a' : 'b'}`, { spec: { description: `say ${n}` } }),
    ),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(202));
  for (const [n, { body }] of answers.entries())
    expect(git('show', `${body.commit}:gateway.d/two.yaml`)).toContain(`say ${n}`);
});

test('what the base branch has and the gateway has not read yet is never lost', async () => {
  const { ask, git, work, remote } = await setUp();
  const newer = TWO.replace(
    'description: "x", capabilities: [{tool_pattern: "a.*"}]}\n---',
    'description: "newer", capabilities: [{tool_pattern: "a.*"}]}\n---',
  );
  // Not yet seen: the next question of the gateway is a second away.
  await ask('GET', '/v1/status');
  work.commit({ 'gateway.d/two.yaml': newer });
  work.git('push', '--quiet', remote, 'main');
  const { status, body } = await ask('PATCH', '/v1/security-contexts/a', { spec: { description: 'mine' } });
  if (status === 202) {
    // The gateway was quicker.
    expect(git('show', `${body.commit}^:gateway.d/two.yaml`)).toContain('newer');
  } else {
    expect([status, body.error?.message]).toEqual([
      409,
      expect.stringContaining('another version of SecurityContext a'),
    ]);
  }
  const again = async () =>
    (await ask('PATCH', '/v1/security-contexts/a', { spec: { description: 'mine' } })).status;
  await expect.poll(again, PATIENTLY).toBe(202);
});

test('git that says no: its words, nothing lost, and an event', async () => {
  const { ask, git, events, remote } = await setUp();
  writeFileSync(join(remote, 'hooks', 'pre-receive'), '#!/bin/sh\necho "no proposals today" >&2\nexit 1\n', {
    mode: 0o755,
  });
  const { status, body } = await ask('PATCH', '/v1/security-contexts/a', { spec: { description: 'mine' } });
  expect([status, body.error?.code]).toEqual([502, 4200]);
  expect(body.error?.message).toMatch(/^nothing was proposed: git push: .*no proposals today/);
  expect(git('branch', '--list', 'seal-gateway/*')).toBe('');
  expect(await events('ManifestProposalFailed')).toMatchObject([
    {
      name: 'a',
      branch: expect.stringContaining('seal-gateway/'),
      reason: expect.stringContaining('no proposals'),
    },
  ]);
});
