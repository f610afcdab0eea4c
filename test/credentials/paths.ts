/** The paths that lead to OpenBao, before a stand-in of it. */
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { LeaseNote, LeaseNotes } from '../../src/credentials/lease.ts';
import { createLeaseKeeper, type LeaseKeeper } from '../../src/credentials/lease.ts';
import { createOpenBao, type OpenBao } from '../../src/credentials/openbao.ts';
import type { Tenancy } from '../../src/credentials/openbao-path.ts';
import type { ResolvedCredential } from '../../src/credentials/resolve.ts';
import { reveal, Secret } from '../../src/credentials/secret.ts';
import { silentLog } from '../../src/log.ts';
import { type OpenBaoStandIn, startOpenBao } from '../support/openbao.ts';

export const BY_NAMESPACE: Tenancy = { namespace: null, by: 'namespace', prefix: 'tenant-' };
export const BY_PATH: Tenancy = { namespace: null, by: 'path', prefix: 'tenant-' };

export interface Connected {
  readonly bao: OpenBaoStandIn;
  readonly openbao: OpenBao;
}

/** A server with two key-value engines and a database, also for tenant acme; and a client with the root token. */
export async function connected(timeout_ms = 2_000): Promise<Connected> {
  const bao = await startOpenBao();
  for (const namespace of ['', 'tenant-acme', 'tenant-globex', 'teams/acme']) {
    const at = (mount: string) => (namespace === '' ? mount : `${namespace}/${mount}`);
    if (namespace !== '') bao.namespace(namespace);
    bao.kv(at('secret'), 2);
    bao.kv(at('kv'), 1);
    bao.dynamic(at('database'));
  }
  const openbao = createOpenBao(
    {
      addr: bao.url,
      cluster_addrs: [],
      namespace: null,
      timeout_ms,
      tls: { ca: null, cert: null, key: null },
      auth: { method: 'token', token: new Secret(bao.root_token) },
    },
    { clock: systemClock, log: silentLog },
  );
  onTestFinished(async () => {
    await openbao.close();
    await bao.close();
  });
  return { bao, openbao };
}

/** Notes in memory; `fail` makes the next ones refuse. */
export function memoryNotes(): LeaseNotes & { readonly rows: Map<string, LeaseNote>; fail: boolean } {
  const rows = new Map<string, LeaseNote>();
  return {
    rows,
    fail: false,
    async note(lease) {
      if (this.fail) throw new Error('the disk is full');
      rows.set(lease.lease_id, lease);
    },
    async forget(lease_ids) {
      for (const lease_id of lease_ids) rows.delete(lease_id);
    },
    async abandoned(holder, now) {
      return [...rows.values()].filter((row) => row.holder !== holder || row.in_use_until < now);
    },
  };
}

export function keeperOf(openbao: OpenBao, notes: LeaseNotes, holder = 'run-1'): LeaseKeeper {
  const keeper = createLeaseKeeper({
    openbao,
    notes,
    holder,
    longest_call_ms: 60_000,
    clock: systemClock,
    log: silentLog,
  });
  onTestFinished(() => keeper.close());
  return keeper;
}

/** What is in a credential. */
export function opened({ value, fields }: Pick<ResolvedCredential, 'value' | 'fields'>) {
  return {
    value: value === null ? null : reveal(value),
    fields: Object.fromEntries(Object.entries(fields).map(([name, secret]) => [name, reveal(secret)])),
  };
}
