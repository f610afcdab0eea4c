/** The deny list of a context, which comes before every capability. */
import type { Capability, DenyRule } from '../snapshot/snapshot.ts';
import { textsAt } from './arguments.ts';
import type { PolicyCall } from './call.ts';
import { matchesOr } from './match.ts';
import { normalizePath } from './path.ts';

/** What the values of deny rules are held against. */
export interface DeniableTexts {
  readonly texts: readonly string[];
  /** A path was given that has no one spelling; it may lead anywhere, so every value pattern matches it. */
  readonly anywhere: boolean;
}

/**
 * The call's paths (under `path` and the path arguments of the capabilities that name the tool), command and
 * subcommand, each in every spelling that could be meant: a deny that misses a spelling denies nothing.
 */
export function deniableTexts(call: PolicyCall, named: readonly Capability[]): DeniableTexts {
  const names = new Set(['path', ...named.flatMap((capability) => capability.path_arguments)]);
  const given = textsAt(call.arguments, names);
  const paths = [...given.texts, ...(call.paths ?? [])];
  const normal = paths.map(normalizePath);
  const words = [call.command, call.subcommand].filter((text) => text !== null);
  const commands = words.length === 2 ? [...words, words.join(' ')] : words;
  if (call.line != null) commands.push(call.line);
  const squeezed = commands.map((text) => text.trim().replace(/\s+/g, ' '));
  return {
    texts: [...paths, ...normal.filter((path) => path !== null), ...commands, ...squeezed],
    anywhere: given.unreadable || normal.includes(null),
  };
}

/** Whether the rule denies the call. One that cannot be evaluated does. */
export function denies(rule: DenyRule, tool: string, targets: DeniableTexts): boolean {
  if (!matchesOr(true, rule.tool, tool)) return false;
  const value = rule.value;
  return value === null || targets.anywhere || targets.texts.some((text) => matchesOr(true, value, text));
}
