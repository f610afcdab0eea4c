/**
 * The policy decision, a pure function of context, call and usage (docs/concepts.md, Security contexts). What
 * cannot be judged is never allowed: a rule that throws counts against the call.
 */
import type { Capability, Matcher, SecurityContext } from '../snapshot/snapshot.ts';
import type { Decision, Denial, PolicyCall, PolicyErrorName, TriedRule, Usage } from './call.ts';
import { type Constraint, constraintsOf } from './constraint.ts';
import { deniableTexts, denies } from './deny.ts';
import { matchesOr } from './match.ts';

export type { Decision, Denial, PolicyCall, PolicyErrorName, TriedRule, Usage } from './call.ts';

/** Nothing has been used up. */
export const UNUSED: Usage = { exhausted: () => false };

/**
 * Which denial tells most, best first. Rate leads: that capability would have allowed the call, so its 429 says
 * truly that waiting helps; the rest is in the order of the codes.
 */
const SPECIFICITY: readonly PolicyErrorName[] = [
  'POLICY_RATE_LIMIT_EXCEEDED',
  'POLICY_PATH_NOT_ALLOWED',
  'POLICY_COMMAND_NOT_ALLOWED',
  'POLICY_DOMAIN_NOT_ALLOWED',
  'POLICY_NO_MATCHING_CAPABILITY',
];

type Trace = (rule: TriedRule) => void;

/** Whether this context allows the call; denied unless a capability allows it. Never throws. */
export function evaluate(context: SecurityContext, call: PolicyCall, usage: Usage = UNUSED): Decision {
  return judge(context, call, usage, () => {});
}

/** {@link evaluate}, with every rule that it tried on the way, in order. */
export function explain(
  context: SecurityContext,
  call: PolicyCall,
  usage: Usage = UNUSED,
): { readonly decision: Decision; readonly tried: readonly TriedRule[] } {
  const tried: TriedRule[] = [];
  const decision = judge(context, call, usage, (rule) => tried.push(rule));
  return { decision, tried };
}

/**
 * Whether some call of this tool may be allowed, by its name alone: scopes match, no deny rule without a value
 * does, and a capability names it. What a listing of tools asks.
 */
export function permitsName(
  context: SecurityContext,
  tool: string,
  toolPatterns: readonly Matcher[] | null,
): boolean {
  if (!inScope(toolPatterns, tool)) return false;
  if (context.deny.some((rule) => rule.value === null && matchesOr(true, rule.tool, tool))) return false;
  return context.capabilities.some((capability) => matchesOr(false, capability.tool, tool));
}

/**
 * Whether some call of this subcommand of a CLI tool may be allowed, whatever its arguments: {@link permitsName}, no
 * deny rule matches it, and a capability that names the tool lists it. What a comparison of two contexts asks.
 */
export function permitsSubcommand(context: SecurityContext, tool: string, subcommand: string): boolean {
  return permitsWords(context, tool, tool, subcommand);
}

/** The same for a command of a tool whose commands are its own, as `crm:listInvoices` is of the explorer. */
export function permitsCommand(context: SecurityContext, tool: string, command: string): boolean {
  return permitsWords(context, tool, command, null);
}

function permitsWords(
  context: SecurityContext,
  tool: string,
  command: string,
  subcommand: string | null,
): boolean {
  const call = { tool, arguments: {}, command, subcommand, tool_patterns: null };
  const named = context.capabilities.filter((capability) => matchesOr(false, capability.tool, tool));
  const targets = deniableTexts(call, named);
  if (context.deny.some((rule) => denies(rule, tool, targets))) return false;
  return named.some((capability) =>
    constraintsOf(capability).every(
      ({ field, problem }) => !field.endsWith('command_allowlist') || problem(call, UNUSED) === null,
    ),
  );
}

function judge(context: SecurityContext, call: PolicyCall, usage: Usage, trace: Trace): Decision {
  return (
    scopeDenial(call, trace) ??
    listedDenial(context, call, trace) ??
    capabilityDecision(context, call, usage, trace)
  );
}

function scopeDenial(call: PolicyCall, trace: Trace): Denial | null {
  if (call.tool_patterns === null) return null;
  const rule = 'tool_patterns';
  const within = inScope(call.tool_patterns, call.tool);
  const detail = `the scopes of the token or session ${within ? 'include' : 'do not include'} this tool`;
  trace({ rule, outcome: within ? 'passed' : 'failed', detail });
  return within ? null : denial('POLICY_TOOL_NOT_ALLOWED', rule, detail);
}

function listedDenial(context: SecurityContext, call: PolicyCall, trace: Trace): Denial | null {
  const named = context.capabilities.filter((capability) => matchesOr(false, capability.tool, call.tool));
  const targets = deniableTexts(call, named);
  for (const [index, entry] of context.deny.entries()) {
    const rule = `deny_list[${index}]`;
    const text = JSON.stringify(entry.text);
    const denied = denies(entry, call.tool, targets);
    trace({ rule, outcome: denied ? 'matched' : 'not_matched', detail: text });
    if (denied) return denial('POLICY_TOOL_DENIED', rule, `${rule} ${text} denies this call`);
  }
  return null;
}

function capabilityDecision(
  context: SecurityContext,
  call: PolicyCall,
  usage: Usage,
  trace: Trace,
): Decision {
  const failures: Denial[] = [];
  for (const capability of context.capabilities) {
    const rule = `capabilities[${capability.index}].tool_pattern`;
    const named = matchesOr(false, capability.tool, call.tool);
    trace({
      rule,
      outcome: named ? 'matched' : 'not_matched',
      detail: JSON.stringify(capability.tool_pattern),
    });
    if (!named) continue;
    const failure = firstFailure(capability, call, usage, trace);
    if (failure === null) return { allow: true, capability };
    failures.push(failure);
  }
  // The sort is stable: of equals, the first in the manifest is told.
  const [told] = failures.sort((a, b) => SPECIFICITY.indexOf(a.error) - SPECIFICITY.indexOf(b.error));
  return told ?? denial('POLICY_TOOL_NOT_ALLOWED', 'capabilities', 'no capability names this tool');
}

function firstFailure(capability: Capability, call: PolicyCall, usage: Usage, trace: Trace): Denial | null {
  for (const constraint of constraintsOf(capability)) {
    const rule = `capabilities[${capability.index}].${constraint.field}`;
    const problem = problemOf(constraint, call, usage);
    trace({ rule, outcome: problem === null ? 'passed' : 'failed', detail: problem ?? '' });
    if (problem !== null) return { ...denial(constraint.error, rule, `${rule}: ${problem}`), capability };
  }
  return null;
}

function problemOf(constraint: Constraint, call: PolicyCall, usage: Usage): string | null {
  try {
    return constraint.problem(call, usage);
  } catch {
    return 'the rule could not be evaluated';
  }
}

function inScope(patterns: readonly Matcher[] | null, tool: string): boolean {
  return patterns === null || patterns.some((matches) => matchesOr(false, matches, tool));
}

function denial(error: PolicyErrorName, rule: string, reason: string): Denial {
  return { allow: false, error, reason, rule, capability: null };
}
