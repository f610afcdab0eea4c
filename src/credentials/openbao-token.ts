/** The gateway's own token of OpenBao: got once, shared by all calls, renewed ahead of its end. */
import { type Clock, isoTime } from '../clock.ts';
import type { Log } from '../log.ts';
import type { BaoHttp } from './openbao-http.ts';
import { type Grant, type LoginFailure, login, type OpenBaoAuth, renew } from './openbao-login.ts';
import { problemOf } from './openbao-problem.ts';
import { unavailable } from './problem.ts';
import type { Secret } from './secret.ts';

export interface TokenStatus {
  readonly logged_in: boolean;
  /** ISO 8601 UTC; null: it has none, or does not end. */
  readonly expires_at: string | null;
  /** Why the last login failed; null: it did not. */
  readonly problem: string | null;
}

export interface BaoToken {
  /** Rejects with CREDENTIAL_UNAVAILABLE. Concurrent callers share one login. */
  current(): Promise<Secret>;
  /** The server refused this token (403). Resolves to whether it may be tried again, with what `current` gives then. */
  refused(token: Secret): Promise<boolean>;
  status(): TokenStatus;
  close(): void;
}

interface Held extends Grant {
  /** Monotonic milliseconds; Infinity: never. */
  readonly ends: number;
  /** Monotonic milliseconds. */
  readonly since: number;
}

export interface BaoTokenDeps {
  readonly auth: OpenBaoAuth;
  readonly namespace: string | null;
  readonly http: BaoHttp;
  readonly clock: Clock;
  readonly log: Log;
}

/** Of its life a token is used up to here, then renewed; the rest is for tries that fail. */
const RENEW_AT = 2 / 3;
const FIRST_BACKOFF_MS = 250;
const LAST_BACKOFF_MS = 30_000;
/** Milliseconds in which a standby that answers by itself may not know a new token yet. */
const YOUNG_MS = 2_000;
/** A timer of Node holds no more. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export function createBaoToken({ auth, namespace, http, clock, log }: BaoTokenDeps): BaoToken {
  let held: Held | null = null;
  let pending: Promise<Held> | null = null;
  let checking: Promise<boolean> | null = null;
  let failures = 0;
  let quiet_until = 0;
  let problem: string | null = null;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function hold(grant: Grant): Held {
    const ends = grant.ttl_seconds === 0 ? Infinity : clock.monotonic() + grant.ttl_seconds * 1000;
    held = { ...grant, ends, since: clock.monotonic() };
    failures = 0;
    problem = null;
    if (ends !== Infinity) wakeIn(grant.ttl_seconds * 1000 * RENEW_AT);
    return held;
  }

  function wakeIn(ms: number): void {
    clearTimeout(timer);
    if (closed) return;
    timer = setTimeout(() => void prolong(), Math.min(ms, MAX_TIMER_MS));
    timer.unref();
  }

  /** Ahead of the end: more time for this token, else another one. */
  async function prolong(): Promise<void> {
    const before = held;
    if (before === null) return;
    const grant = before.renewable ? await renew(before.token, namespace, http) : null;
    // At its longest life a token is renewed for ever shorter times.
    if (grant !== null && grant.ttl_seconds >= before.ttl_seconds / 2) {
      hold(grant);
      return;
    }
    if (auth.method !== 'token') {
      await acquire().catch(() => wakeIn(backoff()));
    } else if (before.renewable) {
      if (grant !== null) hold({ ...grant, renewable: grant.ttl_seconds > 1 });
      else if (before.ends > clock.monotonic())
        wakeIn(Math.max(1_000, (before.ends - clock.monotonic()) / 3));
    }
  }

  function backoff(): number {
    return Math.min(FIRST_BACKOFF_MS * 2 ** Math.max(0, failures - 1), LAST_BACKOFF_MS);
  }

  /** One login at a time; after one that failed, none for a while. */
  function acquire(): Promise<Held> {
    pending ??= obtain().finally(() => {
      pending = null;
    });
    return pending;
  }

  async function obtain(): Promise<Held> {
    if (clock.monotonic() < quiet_until) throw unavailable(problem ?? 'OpenBao gave the gateway no token');
    const granted = await login(auth, namespace, http);
    if ('token' in granted) {
      const one = hold(granted);
      log.info({ method: auth.method, ttl_seconds: granted.ttl_seconds }, 'logged in to OpenBao');
      return one;
    }
    failures += 1;
    quiet_until = clock.monotonic() + backoff();
    problem = `the gateway cannot log in to OpenBao: ${failureText(granted, auth.method)}`;
    const code = 'reply' in granted && granted.reply.code !== null ? { code: granted.reply.code } : {};
    log.warn({ method: auth.method, failures, ...code, reason: problem }, 'the login to OpenBao failed');
    throw unavailable(problem);
  }

  /** A refusal by a policy leaves the token good; only a dead one is replaced. */
  async function isDead(token: Secret): Promise<boolean> {
    const reply = await http.send({ method: 'GET', path: 'auth/token/lookup-self', namespace, token });
    return reply.status === 403;
  }

  return {
    async current() {
      if (held !== null && clock.monotonic() < held.ends) return held.token;
      held = null;
      return (await acquire()).token;
    },
    async refused(token) {
      if (held !== null && held.token !== token) return true;
      checking ??= isDead(token).finally(() => {
        checking = null;
      });
      if (!(await checking)) return held?.token === token && clock.monotonic() - held.since < YOUNG_MS;
      if (held?.token === token) held = null;
      return auth.method !== 'token';
    },
    status() {
      const alive = held !== null && clock.monotonic() < held.ends;
      const left = alive && held!.ends !== Infinity ? held!.ends - clock.monotonic() : null;
      return { logged_in: alive, expires_at: left === null ? null : isoTime(clock.now() + left), problem };
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

const PROOFS: Readonly<Record<OpenBaoAuth['method'], string>> = {
  token: 'token',
  approle: 'role_id or secret_id',
  kubernetes: 'role or service account token',
  jwt: 'role or JWT',
};

function failureText(failure: LoginFailure, method: OpenBaoAuth['method']): string {
  if ('problem' in failure) return failure.problem;
  const { status } = failure.reply;
  if (status !== 400 && status !== 403) return problemOf(failure.reply);
  // A path without a login is a 403 as well.
  const or = status === 403 && method !== 'token' ? ', or has no login there' : '';
  return `OpenBao refuses its ${PROOFS[method]}${or} (${status})`;
}
