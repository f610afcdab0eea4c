/** The OpenBao server as the paths to credentials see it: read a secret, make one, end one; and how it is doing. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { type BaoReply, type BaoRequest, createBaoHttp, type OpenBaoAddress } from './openbao-http.ts';
import type { OpenBaoAuth } from './openbao-login.ts';
import { isPassing, problemInFull } from './openbao-problem.ts';
import { createBaoToken, type TokenStatus } from './openbao-token.ts';

export interface OpenBaoOptions extends OpenBaoAddress {
  readonly auth: OpenBaoAuth;
  /** Where the gateway logs in; null: the root of the server. */
  readonly namespace: string | null;
}

export type Health = 'active' | 'standby' | 'sealed' | 'uninitialised' | 'unreachable' | 'unknown';

export interface OpenBaoStatus extends TokenStatus {
  readonly addr: string;
  readonly method: OpenBaoAuth['method'];
  readonly health: Health;
  /** Why it is unreachable; null: it is not. */
  readonly unreachable: string | null;
  readonly version: string | null;
}

export type Asked = Omit<BaoRequest, 'token' | 'timeout_ms' | 'onLate'>;
export type Act = Omit<BaoRequest, 'token' | 'timeout_ms'>;

export interface OpenBao {
  /** For what changes nothing: tried again for a while when the failure may pass. Rejects when there is no token. */
  read(asked: Asked): Promise<BaoReply>;
  /**
   * For what must not happen twice: sent once; again only when the server says that it did nothing, because it refused
   * the gateway's token (403) or has not caught up with the node that gave it (412).
   */
  act(asked: Act): Promise<BaoReply>;
  /** Asks the server and resolves to the whole status; never rejects. */
  check(): Promise<OpenBaoStatus>;
  /** Why the gateway cannot log in; null: it can, or has. */
  login(): Promise<string | null>;
  /** What was found last. */
  status(): OpenBaoStatus;
  close(): Promise<void>;
}

/** Milliseconds before the second and the third try of a reading. */
const WAITS: readonly number[] = [50, 200];
const HEALTH_MS = 10_000;
/** Milliseconds that a standby gets to hear of a token that it does not know yet. */
const CATCH_UP_MS = 50;

export function createOpenBao(options: OpenBaoOptions, deps: { clock: Clock; log: Log }): OpenBao {
  const { clock, log } = deps;
  const http = createBaoHttp(options, clock);
  const token = createBaoToken({ auth: options.auth, namespace: options.namespace, http, clock, log });
  let health: Health = 'unknown';
  let unreachable: string | null = null;
  let version: string | null = null;

  async function send(asked: Act, ends: number): Promise<BaoReply> {
    const own = await token.current();
    const reply = await http.send({ ...asked, token: own, timeout_ms: ends - clock.monotonic() });
    if (reply.status !== 403 || !(await token.refused(own))) return reply;
    const another = await token.current();
    if (another === own) await sleep(CATCH_UP_MS);
    return http.send({ ...asked, token: another, timeout_ms: ends - clock.monotonic() });
  }

  function status(): OpenBaoStatus {
    const { addr, auth } = options;
    return { addr, method: auth.method, health, unreachable, version, ...token.status() };
  }

  async function check(): Promise<OpenBaoStatus> {
    // Always of the root: health is no part of a namespace.
    const path = 'sys/health?standbyok=true&perfstandbyok=true';
    const reply = await http.send({ method: 'GET', path, namespace: null, token: null });
    const before = health;
    health = healthOf(reply);
    unreachable = health === 'unreachable' ? problemInFull(reply) : null;
    if (typeof reply.body.version === 'string') version = reply.body.version.slice(0, 64);
    if (health !== before) {
      const facts = { addr: options.addr, ...(unreachable !== null && { reason: unreachable }) };
      log[isWell(health) ? 'info' : 'warn'](facts, `OpenBao is ${health}`);
    }
    return status();
  }

  // At the start too: a login that fails is seen before the first call needs it.
  const timer = setInterval(() => void check(), HEALTH_MS);
  timer.unref();
  void check();
  token.current().catch(() => {});

  /** Again after what `mayPass`, for a while. */
  async function patiently(asked: Act, mayPass: (reply: BaoReply) => boolean): Promise<BaoReply> {
    const ends = clock.monotonic() + options.timeout_ms;
    for (const wait of WAITS) {
      const reply = await send(asked, ends);
      const pause = Math.max(wait, reply.retry_after_ms ?? 0);
      if (!mayPass(reply) || clock.monotonic() + pause > ends) return reply;
      await sleep(pause);
    }
    return send(asked, ends);
  }

  return {
    read: (asked) => patiently(asked, isPassing),
    act: (asked) => patiently(asked, ({ status }) => status === 412),
    check,
    async login() {
      return token.current().then(
        () => null,
        (error: Error) => error.message,
      );
    },
    status,
    async close() {
      clearInterval(timer);
      token.close();
      await http.close();
    },
  };
}

export function isWell(health: Health): boolean {
  return health === 'active' || health === 'standby';
}

function healthOf(reply: BaoReply): Health {
  if (reply.status === 0) return 'unreachable';
  const { initialized, sealed, standby } = reply.body;
  if (initialized === false || reply.status === 501) return 'uninitialised';
  if (sealed === true || reply.status === 503) return 'sealed';
  if (standby === true || reply.status === 429) return 'standby';
  return reply.status === 200 && sealed === false ? 'active' : 'unreachable';
}
