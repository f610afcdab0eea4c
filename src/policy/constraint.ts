/** The constraints of a capability. A constraint whose argument is absent fails. */
import type { Capability, Matcher } from '../snapshot/snapshot.ts';
import { textsAt } from './arguments.ts';
import type { PolicyCall, PolicyErrorName, Usage } from './call.ts';
import { hostOf } from './domain.ts';
import { matchesAny } from './match.ts';
import { normalizePath } from './path.ts';

/** A constraint that the manifest states. */
export interface Constraint {
  /** Its field of the capability. */
  readonly field: string;
  /** The error when it fails. */
  readonly error: PolicyErrorName;
  /** What stands in the way of the call; null: nothing. */
  problem(call: PolicyCall, usage: Usage): string | null;
}

/** The constraints that a capability states, in order: those of the call first, then rate, which alone passes in time. */
export function constraintsOf(capability: Capability): Constraint[] {
  const { path_allowlist, command_allowlist, subcommand_allowlist, domain_allowlist } = capability;
  const { arguments: fits, rate_limit, path_arguments, url_arguments } = capability;
  const list: Constraint[] = [];
  if (path_allowlist !== null) {
    list.push({
      field: 'path_allowlist',
      error: 'POLICY_PATH_NOT_ALLOWED',
      problem: (call) => outside(path_allowlist, call, 'path', path_arguments, normalizePath, call.paths),
    });
  }
  if (command_allowlist !== null) {
    list.push({
      field: 'command_allowlist',
      error: 'POLICY_COMMAND_NOT_ALLOWED',
      problem: (call) => notListed(command_allowlist, 'command', call.command),
    });
  }
  if (subcommand_allowlist !== null) {
    list.push({
      field: 'subcommand_allowlist',
      error: 'POLICY_COMMAND_NOT_ALLOWED',
      problem: (call) => notListed(subcommand_allowlist, 'subcommand', call.subcommand),
    });
  }
  if (domain_allowlist !== null) {
    list.push({
      field: 'domain_allowlist',
      error: 'POLICY_DOMAIN_NOT_ALLOWED',
      problem: (call) => outside(domain_allowlist, call, 'URL', url_arguments, hostOf),
    });
  }
  if (fits !== null) {
    list.push({
      field: 'arguments',
      error: 'POLICY_NO_MATCHING_CAPABILITY',
      problem: (call) => (fits(call.arguments) ? null : 'the arguments do not fit the schema'),
    });
  }
  if (rate_limit !== null) {
    list.push({
      field: 'rate_limit',
      error: 'POLICY_RATE_LIMIT_EXCEEDED',
      problem: (_, usage) => (usage.exhausted(capability) ? 'the rate limit is used up' : null),
    });
  }
  return list;
}

function notListed(allowed: readonly Matcher[], what: string, text: string | null): string | null {
  if (text === null) return `the call has no ${what}`;
  return matchesAny(allowed, text) ? null : `the ${what} is not listed`;
}

/** Every text under these names must be readable and listed, and there must be one at least. */
function outside(
  allowed: readonly Matcher[],
  call: PolicyCall,
  what: string,
  names: readonly string[],
  read: (text: string) => string | null,
  more: readonly string[] = [],
): string | null {
  const given = textsAt(call.arguments, names);
  const texts = [...given.texts, ...more];
  const which = `${what} argument (${names.join(', ')})`;
  if (given.unreadable) return `a ${which} is neither a text nor a list of texts`;
  if (texts.length === 0) return `the ${which} is absent`;
  for (const text of texts) {
    const plain = read(text);
    if (plain === null) return `a ${which} is not a plain ${what}`;
    if (!matchesAny(allowed, plain)) return `a ${which} is not listed`;
  }
  return null;
}
