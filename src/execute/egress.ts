/**
 * The way out: connections to upstreams, kept for the life of the process and across snapshots. Every
 * connection is judged on the address that is dialled, so that no name, notation or second look-up gets by.
 */
import type { LookupAddress } from 'node:dns';
import { lookup as systemLookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { GatewayError } from '../errors.ts';
import type { Api } from '../snapshot/snapshot.ts';
import { compileAddressPolicy } from './address.ts';

/** All addresses of a host name; rejects as `dns.lookup` does. */
export type Resolve = (hostname: string) => Promise<readonly LookupAddress[]>;

export interface EgressOptions {
  /** The gateway's version, for the user agent. */
  readonly version?: string;
  /** Default: the system's resolver (getaddrinfo). */
  readonly resolve?: Resolve;
  /** Connections to one origin under one policy; further requests wait. Default 128. */
  readonly connections?: number;
  /** Default 10,000. */
  readonly connect_timeout_ms?: number;
  /** Certificates to trust, as PEM, in place of the system's set. */
  readonly ca?: string | undefined;
}

export interface Egress {
  readonly user_agent: string;
  /** Sends to the addresses that this API's egress policy allows; others fail with EGRESS_BLOCKED. */
  dispatcherFor(api: Pick<Api, 'egress'>): Dispatcher;
  /** Ends all connections; requests under way fail. */
  close(): Promise<void>;
}

export function createEgress(options: EgressOptions = {}): Egress {
  const agents = new Map<string, Agent>();
  // A snapshot's policy object stands for its key, so that a call does not build it.
  const known = new WeakMap<Api['egress'], Agent>();

  function agentOf(policy: Api['egress']): Agent {
    const key = JSON.stringify([policy.allow_private, [...policy.allow_addresses].sort()]);
    const agent = agents.get(key) ?? createAgent(policy, options);
    agents.set(key, agent);
    known.set(policy, agent);
    return agent;
  }

  return {
    user_agent: options.version === undefined ? 'seal-gateway' : `seal-gateway/${options.version}`,
    dispatcherFor: (api) => known.get(api.egress) ?? agentOf(api.egress),
    async close() {
      await Promise.all([...agents.values()].map((agent) => agent.destroy()));
    },
  };
}

function createAgent(policy: Api['egress'], options: EgressOptions): Agent {
  return new Agent({
    connect: createConnector(compileAddressPolicy(policy), options),
    connections: options.connections ?? 128,
    pipelining: 1,
    allowH2: false,
    // Each request has a deadline of its own, over all of it.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
}

/** A connector that dials allowed addresses only, and looks again at whom it is connected to. */
function createConnector(
  allowed: (address: string) => boolean,
  options: EgressOptions,
): buildConnector.connector {
  const connect = buildConnector({
    allowH2: false,
    timeout: options.connect_timeout_ms ?? 10_000,
    lookup: judgedLookup(allowed, options.resolve ?? ((hostname) => systemLookup(hostname, { all: true }))),
    // Said aloud, because NODE_TLS_REJECT_UNAUTHORIZED=0 would otherwise turn the check off.
    rejectUnauthorized: true,
    ...(options.ca !== undefined && { ca: options.ca }),
  });
  return (target, callback) => {
    // A literal is dialled without a look-up, so it is judged here.
    if (isIP(target.hostname) !== 0 && !allowed(target.hostname)) {
      process.nextTick(callback, blocked(target.hostname, target.hostname), null);
      return;
    }
    connect(target, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      const address = socket.remoteAddress ?? '';
      if (allowed(address)) return callback(null, socket);
      socket.destroy();
      callback(blocked(target.hostname, address), null);
    });
  };
}

/** A look-up for `net.connect` whose answer is refused whole when one address in it is not allowed. */
function judgedLookup(allowed: (address: string) => boolean, resolve: Resolve): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname).then(
      (addresses) => {
        const [first] = addresses;
        if (first === undefined) {
          return callback(new Error('the name has no address'), '');
        }
        const bad = addresses.find(({ address }) => !allowed(address));
        if (bad !== undefined) return callback(blocked(hostname, bad.address), '');
        if (options.all === true) return callback(null, [...addresses]);
        callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, ''),
    );
  };
}

function blocked(host: string, address: string): GatewayError {
  return new GatewayError(
    'EGRESS_BLOCKED',
    `${host} has an address that the gateway may not dial; egress.allow_private of the ApiSpec allows private and loopback addresses, egress.allow_hosts any that it lists`,
    // The address is for the log: it would tell a caller what lies behind the name.
    { details: { host }, cause: new Error(`not allowed: ${address}`) },
  );
}
