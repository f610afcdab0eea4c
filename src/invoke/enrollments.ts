/** The file of enrollment tokens: a JSON list that `seal-gateway enroll` writes, read again whenever it has changed. */
import { readFileSync, statSync } from 'node:fs';
import type { Log } from '../log.ts';
import type { Enrollment } from './workload.ts';

/** Of a file that is missing or bad nothing is believed; the log says why. */
export function enrollmentsOf(file: string, log: Log): () => readonly Enrollment[] {
  let seen = '';
  let known: readonly Enrollment[] = [];
  return () => {
    try {
      const { mtimeMs, ino, size } = statSync(file);
      const stamp = `${mtimeMs} ${ino} ${size}`;
      if (stamp === seen) return known;
      known = readEnrollments(readFileSync(file, 'utf8'));
      seen = stamp;
    } catch (error) {
      const reason = `${file}: ${(error as Error).message}`;
      if (seen !== reason) log.error({ reason }, 'enrollment tokens cannot be read; none is believed');
      seen = reason;
      known = [];
    }
    return known;
  };
}

/** Throws an Error that says which entry is wrong, and how. */
export function readEnrollments(text: string): readonly Enrollment[] {
  const list: unknown = JSON.parse(text);
  if (!Array.isArray(list)) throw new Error('expected a list');
  return list.map((entry: unknown, index) => {
    const fault = (what: string): Error => new Error(`entry ${index + 1}: ${what}`);
    if (typeof entry !== 'object' || entry === null) throw fault('expected an object');
    const {
      workload_id,
      token_sha256,
      security_contexts,
      tenant = null,
      expires_at,
    } = entry as Record<string, unknown>;
    if (typeof workload_id !== 'string' || workload_id === '') throw fault('workload_id is missing');
    if (typeof token_sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(token_sha256))
      throw fault('token_sha256 is not the hex SHA-256 of a token');
    if (!isTexts(security_contexts)) throw fault('security_contexts is no list of names');
    if (tenant !== null && typeof tenant !== 'string') throw fault('tenant is not a name');
    const ms = typeof expires_at === 'string' ? Date.parse(expires_at) : Number.NaN;
    if (Number.isNaN(ms)) throw fault('expires_at is not a time');
    return { workload_id, token_sha256, security_contexts, tenant, expires_at: ms };
  });
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string' && one !== '');
}
