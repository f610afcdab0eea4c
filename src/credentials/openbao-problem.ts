/** What an answer of OpenBao that is no success means, in words fit for a caller: nothing that the server said. */
import type { BaoReply, Silence } from './openbao-http.ts';

const SILENCES: Readonly<Record<Silence, string>> = {
  unreachable: 'OpenBao could not be reached',
  lost: 'OpenBao closed the connection before it had answered',
  timeout: 'OpenBao did not answer in time',
  redirect: 'OpenBao redirects to an address that is not one of its cluster',
  garbage: 'OpenBao answered with something that is not of its API',
};

const STATUSES: Readonly<Record<number, string>> = {
  400: 'OpenBao refuses the request as malformed (400)',
  403: 'OpenBao refuses it (403): the token is not valid, or its policies do not allow it',
  404: 'OpenBao has nothing there (404)',
  405: 'OpenBao does not support it there (405)',
  412: 'OpenBao has not caught up yet (412)',
  429: 'OpenBao limits the rate of requests (429)',
  472: 'OpenBao is a replica for disaster recovery',
  473: 'OpenBao is a performance standby',
  501: 'OpenBao is not initialised',
};

/** One line, without the final stop. */
export function problemOf(reply: BaoReply): string {
  if (reply.silence !== null) return SILENCES[reply.silence];
  if (isSealed(reply)) return 'OpenBao is sealed';
  if (isLeaderless(reply)) return 'OpenBao has no active node';
  if (lacksNamespace(reply)) return 'OpenBao has no namespace for the tenant of this caller';
  if (reply.status === 200) return SILENCES.garbage;
  return STATUSES[reply.status] ?? `OpenBao failed (${reply.status})`;
}

/** The same for whoever runs the gateway: with the system's word for what went wrong. */
export function problemInFull(reply: BaoReply): string {
  return reply.code === null ? problemOf(reply) : `${problemOf(reply)} (${reply.code})`;
}

/** Whether the same reading may succeed in a moment. */
export function isPassing(reply: BaoReply): boolean {
  if (reply.silence !== null) return reply.silence === 'unreachable' || reply.silence === 'lost';
  return [412, 429, 472, 473, 502, 503, 504].includes(reply.status) || isLeaderless(reply);
}

function isSealed(reply: BaoReply): boolean {
  return reply.status === 503 && says(reply, /sealed/i);
}

/** A standby that cannot hand the request on. */
function isLeaderless(reply: BaoReply): boolean {
  return reply.status === 500 && says(reply, /active (?:cluster )?node/i);
}

export function lacksNamespace(reply: BaoReply): boolean {
  return reply.status === 404 && says(reply, /namespace not found/);
}

function says(reply: BaoReply, pattern: RegExp): boolean {
  const { errors } = reply.body;
  return Array.isArray(errors) && errors.some((error) => typeof error === 'string' && pattern.test(error));
}
