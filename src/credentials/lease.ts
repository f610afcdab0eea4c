/**
 * Leases of OpenBao: noted durably before a credential is used, revoked when its call is over. What a crash or an
 * outage leaves in the notes is revoked at the next start, or by the next look.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { OpenBao } from './openbao.ts';
import type { BaoReply } from './openbao-http.ts';
import { problemOf } from './openbao-problem.ts';
import { unavailable } from './problem.ts';

/** As `store/store.ts` has it. */
export interface LeaseNote {
  readonly lease_id: string;
  readonly namespace: string | null;
  readonly holder: string;
  /** Milliseconds since the Unix epoch. */
  readonly in_use_until: number;
}

type Leased = Pick<LeaseNote, 'lease_id' | 'namespace'>;

export interface LeaseNotes {
  note(lease: LeaseNote): Promise<void>;
  forget(lease_ids: readonly string[]): Promise<void>;
  abandoned(holder: string, now: number): Promise<LeaseNote[]>;
}

export interface LeaseKeeper {
  /**
   * Notes a lease; resolves, when that is durable, to what ends it. Rejects when it could not be noted; the lease is
   * revoked then all the same.
   */
  hold(lease_id: string, namespace: string | null): Promise<() => Promise<void>>;
  /** Leases that are known and not revoked yet. */
  open(): number;
  /** Waits for the revocations under way. */
  close(): Promise<void>;
}

export interface LeaseDeps {
  readonly openbao: Pick<OpenBao, 'act'>;
  readonly notes: LeaseNotes;
  /** The run of this gateway. */
  readonly holder: string;
  /** Milliseconds that a call may last. */
  readonly longest_call_ms: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Milliseconds before the second and third try to revoke; after these the next look takes it. */
const WAITS: readonly number[] = [200, 1_000];
const LOOK_MS = 30_000;
const AT_ONCE = 8;
/** Milliseconds that revoked leases stay noted, so that many are forgotten in one commit; so many at most. */
const FORGET_MS = 500;
const FORGET_AT = 1_000;

/** Begins with what earlier runs left. */
export function createLeaseKeeper(deps: LeaseDeps): LeaseKeeper {
  const { openbao, notes, holder, clock, log } = deps;
  const running = new Set<Promise<void>>();
  const closing = new AbortController();
  /** Still noted. */
  const revoked: string[] = [];
  let forgetting: NodeJS.Timeout | undefined;
  /** Held by calls of this run, and not revoked yet. */
  const open = new Set<string>();

  /** `sync`: the server answers when the lease is gone, else when it has taken it over. */
  function revoke({ lease_id, namespace }: Leased, sync: boolean): Promise<BaoReply> {
    const body = { lease_id, sync };
    return openbao.act({ method: 'PUT', path: 'sys/leases/revoke', namespace, body });
  }

  /** Whether the lease is gone, or the server's to end. */
  async function settle(lease: Leased): Promise<boolean> {
    try {
      let reply = await revoke(lease, true);
      // The engine could not do it now, such as a database that is down: the server goes on trying once it is told to.
      if (reply.status === 400) reply = await revoke(lease, false);
      if (!isEnded(reply)) throw unavailable(problemOf(reply));
      if (reply.status === 400) log.warn(lease, 'OpenBao refuses to revoke a lease, which ends by itself');
    } catch (error) {
      const reason = error instanceof GatewayError ? error.message : 'it could not be asked';
      log.warn({ lease_id: lease.lease_id, reason }, 'a lease could not be revoked yet');
      return false;
    }
    open.delete(lease.lease_id);
    revoked.push(lease.lease_id);
    if (revoked.length >= FORGET_AT) forget();
    else forgetting ??= setTimeout(forget, FORGET_MS).unref();
    return true;
  }

  /** The notes go after the leases: nobody waits for that, and a note too many is harmless. */
  function forget(): void {
    clearTimeout(forgetting);
    forgetting = undefined;
    const lease_ids = revoked.splice(0);
    if (lease_ids.length === 0) return;
    const forgotten = notes.forget(lease_ids);
    void track(forgotten.catch((err: unknown) => log.warn({ err }, 'revoked leases stay noted')));
  }

  async function end(lease: Leased): Promise<void> {
    for (const wait of [0, ...WAITS]) {
      if (wait > 0) await sleep(wait, undefined, { signal: closing.signal }).catch(() => {});
      if ((await settle(lease)) || closing.signal.aborted) return;
    }
  }

  /** Counted until it is done, so that a shutdown can wait for it. */
  function track(work: Promise<void>): Promise<void> {
    running.add(work);
    return work.finally(() => running.delete(work));
  }

  async function look(): Promise<void> {
    const left = await notes.abandoned(holder, clock.now());
    if (left.length > 0) log.info({ leases: left.length }, 'revoking leases that no call uses any more');
    for (let at = 0; at < left.length && !closing.signal.aborted; at += AT_ONCE) {
      await Promise.all(left.slice(at, at + AT_ONCE).map(settle));
    }
  }

  function lookAgain(): void {
    void track(look().catch((err: unknown) => log.warn({ err }, 'the notes of leases could not be read')));
  }

  lookAgain();
  const timer = setInterval(lookAgain, LOOK_MS);
  timer.unref();

  return {
    async hold(lease_id, namespace) {
      open.add(lease_id);
      let ended: Promise<void> | null = null;
      const release = (): Promise<void> => {
        ended ??= track(end({ lease_id, namespace }));
        return ended;
      };
      try {
        const in_use_until = clock.now() + deps.longest_call_ms;
        await notes.note({ lease_id, namespace, holder, in_use_until });
      } catch (error) {
        void release();
        throw error;
      }
      return release;
    },
    open: () => open.size,
    async close() {
      clearInterval(timer);
      closing.abort();
      while (running.size > 0) await Promise.all(running);
      forget();
      await Promise.all(running);
    },
  };
}

/**
 * 204: revoked now or earlier, an unknown lease is no error; 202: the server does it by itself; 404: there is no such
 * place any more; 400, when it was only asked to take it over: it never will.
 */
function isEnded({ status }: BaoReply): boolean {
  return [200, 202, 204, 400, 404].includes(status);
}
