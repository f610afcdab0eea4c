/**
 * Which process of the gateway something belongs to: containers carry it as a label, intents in the trail. So that
 * what a killed process left behind can be told from what a living one, beside this one, is still at.
 */
import { hash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** `scope.pid.start`: a machine's boot and process namespace, the process in it, and when that began. */
export function thisInstance(): string {
  return `${scope()}.${process.pid}.${startOf(process.pid) ?? 0}`;
}

/**
 * Whether that process is known to have ended. false also for one of another machine or container, of which
 * nothing can be seen from here: what it left is told by its deadline alone.
 */
export function isDead(instance: string): boolean {
  const [where, pid = '', start] = instance.split('.');
  if (where !== scope() || !/^[1-9]\d*$/.test(pid)) return false;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true;
  }
  // The id may belong to another process by now.
  const now = startOf(Number(pid));
  return now !== null && now !== start;
}

function scope(): string {
  return hash(
    'sha256',
    `${read('/proc/sys/kernel/random/boot_id') ?? hostname()} ${namespace()}`,
    'hex',
  ).slice(0, 12);
}

function namespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

/** Clock ticks from boot to the start of the process (proc(5), field 22); null where there is no /proc. */
function startOf(pid: number): string | null {
  const stat = read(`/proc/${pid}/stat`);
  // The name, in parentheses, may hold spaces and parentheses.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}
