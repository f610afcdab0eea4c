import { expect, test } from 'vitest';
import { statusText } from '../../src/cli/status-text.ts';
import { NOTHING_YET, type ReconcileStatus } from '../../src/reconcile/status.ts';
import { aState } from '../serve/http/control/served.ts';

const NOW = Date.UTC(2026, 0, 1, 12);
const COMMIT = '3f2a9c1d5e6f708192a3b4c5d6e7f8091a2b3c4d';

const GOOD: ReconcileStatus = {
  ...NOTHING_YET,
  revision: COMMIT,
  revision_attempted: COMMIT,
  generation: 3,
  degraded: false,
  error: null,
  last_success_at: new Date(NOW - 90_000).toISOString(),
  manifests: [aState({ revision_applied: COMMIT })],
};

const head = (more: Partial<ReconcileStatus>): string | undefined =>
  statusText({ ...GOOD, ...more }, NOW).split('\n')[0];

test('a good status is a head line and a row for each manifest', () => {
  expect(
    statusText(GOOD, NOW),
  ).toBe(`revision 3f2a9c1d5e6f applied 1 min ago (generation 3), 1 of 1 manifests Ready, watching

KIND     NAME  STATUS  REVISION      REASON  WHERE
ApiSpec  crm   Ready   3f2a9c1d5e6f  -       crm.yaml:1:1`);
});

test('what is wrong is told: of the whole, of a manifest, and of what is none', () => {
  const status: ReconcileStatus = {
    ...GOOD,
    revision_attempted: `sha256:${'9'.repeat(64)}`,
    degraded: true,
    error: 'held: 7 of 12 manifests would be removed at once',
    watch: 'scanning',
    manifests: [
      aState({ revision_applied: COMMIT }),
      aState({
        kind: 'ToolWorkflow',
        tenant: 'acme',
        name: 'customer.find',
        status: 'Stale',
        reason: 'there is no operation\nlistCustomer\u001b[2J',
        file: 'workflows/find.yaml',
        line: 12,
        column: 7,
        revision_applied: `sha256:${'8'.repeat(64)}`,
      }),
      aState({ kind: 'SecurityContext', name: 'reader', status: 'Invalid', revision_applied: null }),
    ],
    diagnostics: [
      {
        severity: 'error',
        rule: 'not-a-manifest',
        file: 'notes.yaml',
        line: 1,
        column: 1,
        message: 'this is no manifest',
        hint: 'remove it',
      },
    ],
  };
  expect(statusText(status, NOW)).toBe(
    `revision 3f2a9c1d5e6f applied 1 min ago (generation 3), 999999999999 attempted, 1 of 3 manifests Ready, scanning
error: held: 7 of 12 manifests would be removed at once

KIND             NAME                STATUS   REVISION      REASON                                  WHERE
ToolWorkflow     acme/customer.find  Stale    888888888888  there is no operation listCustomer [2J  workflows/find.yaml:12:7
SecurityContext  reader              Invalid  -             -                                       crm.yaml:1:1
ApiSpec          crm                 Ready    3f2a9c1d5e6f  -                                       crm.yaml:1:1

notes.yaml:1:1: this is no manifest (remove it)`,
  );
});

test.each([
  [{ last_success_at: new Date(NOW).toISOString() }, 'applied 0 s ago'],
  [{ last_success_at: new Date(NOW - 59_000).toISOString() }, 'applied 59 s ago'],
  [{ last_success_at: new Date(NOW - 3_600_000).toISOString() }, 'applied 1 h ago'],
  [{ last_success_at: new Date(NOW - 200_000_000).toISOString() }, 'applied 2 d ago'],
  // A clock that is behind makes nothing come from the future.
  [{ last_success_at: new Date(NOW + 5_000).toISOString() }, 'applied 0 s ago'],
  [{ last_success_at: null }, 'applied by an earlier run'],
  [{ revision: null, manifests: [] }, 'nothing is applied, 3f2a9c1d5e6f attempted, no manifests, watching'],
  [{ signer: { signer: 'olga@example.com', fingerprint: 'SHA256:x' } }, ', signed by olga@example.com, '],
])('%j: %s', (more, text) => {
  expect(head(more)).toContain(text);
});

test('the container engine is told where there are CLI tools', () => {
  const manifests = [aState({ kind: 'CliTool', name: 'kubectl', revision_applied: COMMIT })];
  const lineOf = (container_engine: object, status = { ...GOOD, manifests }) =>
    statusText({ ...status, container_engine } as Parameters<typeof statusText>[0], NOW).split('\n')[1];
  const docker = { name: 'docker', version: '28.2', address: 'unix:///var/run/docker.sock', error: null };
  const none = { name: null, version: null, address: null, error: 'unix:///var/run/docker.sock: ENOENT' };
  expect(lineOf(docker)).toBe('container engine: docker 28.2 at unix:///var/run/docker.sock');
  expect(lineOf(none)).toBe('no container engine: unix:///var/run/docker.sock: ENOENT');
  expect(lineOf(none, GOOD as typeof GOOD & { manifests: typeof manifests })).toBe('');
});

test('where credentials come from is told', () => {
  const openbao = {
    addr: 'https://bao.example',
    method: 'approle',
    health: 'active',
    unreachable: null,
    version: '2.1.0',
    logged_in: true,
    expires_at: '2026-01-01T13:00:00.000Z',
    problem: null,
  } as const;
  const credentials = { openbao, development_providers: [], open_leases: 2 };
  expect(statusText({ ...GOOD, credentials }, NOW)).toContain(
    '\nOpenBao is active, logged in by approle until 2026-01-01T13:00:00.000Z; leases in use: 2\n',
  );
  const problem = 'the gateway cannot log in to OpenBao: OpenBao is sealed';
  const sealed = { ...openbao, health: 'sealed', logged_in: false, expires_at: null, problem } as const;
  expect(statusText({ ...GOOD, credentials: { ...credentials, openbao: sealed } }, NOW)).toContain(
    `\nOpenBao is sealed, ${problem}; leases in use: 2\n`,
  );
  const unreachable = 'OpenBao could not be reached (ECONNREFUSED)';
  const gone = { ...openbao, health: 'unreachable', unreachable } as const;
  expect(statusText({ ...GOOD, credentials: { ...credentials, openbao: gone } }, NOW)).toContain(
    `\n${unreachable}, logged in by approle until`,
  );
  const development = { openbao: null, development_providers: ['files'], open_leases: 0 } as const;
  expect(statusText({ ...GOOD, credentials: development }, NOW)).toContain(
    '\nDEVELOPMENT: secrets come from this machine (files)\n',
  );
});
