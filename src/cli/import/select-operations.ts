/** `--operations`: which operations of a document become tools, and which patterns name none. */
import { suggest } from '../../manifest/suggest.ts';
import { andList } from '../../manifest/words.ts';
import type { DocumentIndex } from '../../openapi/index-document.ts';
import type { Operation } from '../../openapi/operation.ts';
import { derivedId } from '../../openapi/path-template.ts';
import { compileValuePattern, matchesAny } from '../../policy/match.ts';
import type { Matcher } from '../../snapshot/snapshot.ts';
import { CliError } from '../output.ts';

export interface Selection {
  readonly isWanted: (operation: Operation) => boolean;
  /** Patterns of an earlier run that name nothing in this version of the document. */
  readonly stale: readonly string[];
}

interface Pattern {
  /** As it was given. */
  readonly text: string;
  /** It begins with `!`. */
  readonly without: boolean;
  readonly matches: Matcher;
}

/**
 * What the patterns select: what one of them names, by id or method and path, and none that begins with `!` does.
 * Throws CliError for a new pattern that names nothing, which is a mistake at the keyboard; one of an earlier run may
 * have outlived what it named.
 */
export function selectOperations(
  patterns: readonly string[],
  earlier: readonly string[],
  index: DocumentIndex,
): Selection {
  const compiled = patterns.map(compilePattern);
  const names = namesIn(index);
  const idle = compiled.filter(({ matches }) => !names.some(matches)).map(({ text }) => text);
  const mistakes = idle.filter((text) => !earlier.includes(text));
  if (mistakes.length > 0) throw new CliError(mistakes.map((text) => told(text, names)).join('\n'));
  const wanted = compiled.filter(({ without }) => !without).map(({ matches }) => matches);
  const unwanted = compiled.filter(({ without }) => without).map(({ matches }) => matches);
  const isNamed = (matchers: readonly Matcher[], operation: Operation): boolean =>
    namesOf(operation).some((name) => matchesAny(matchers, name));
  return {
    isWanted: (operation) =>
      (wanted.length === 0 || isNamed(wanted, operation)) && !isNamed(unwanted, operation),
    stale: idle,
  };
}

function compilePattern(text: string): Pattern {
  const without = text.startsWith('!');
  try {
    return { text, without, matches: compileValuePattern(without ? text.slice(1) : text) };
  } catch (error) {
    throw new CliError(`--operations: ${(error as Error).message}`);
  }
}

function namesOf({ id, method, path }: Operation): [string, string] {
  return [id, derivedId(method, path)];
}

/** Also of operations that cannot become tools: those are told of by themselves. */
function namesIn({ operations, problems }: DocumentIndex): string[] {
  return [
    ...[...operations.values()].flatMap(namesOf),
    ...problems.flatMap(({ operation_id }) => operation_id ?? []),
  ];
}

function told(text: string, names: readonly string[]): string {
  return `--operations ${JSON.stringify(text)} names no operation of the document; ${hint(text, names)}`;
}

/** How names are found that differ in case, that hold the pattern, or that are spelt nearly so. */
function hint(text: string, names: readonly string[]): string {
  const not = text.startsWith('!') ? '!' : '';
  const bare = text.slice(not.length);
  const quoted = (name: string): string => JSON.stringify(not + name);
  const folded = compileValuePattern(bare.toLowerCase());
  const inOtherCase = names.filter((name) => folded(name.toLowerCase()));
  if (inOtherCase.length > 0)
    return `upper and lower case count, and it has ${andList(inOtherCase.slice(0, 3).map(quoted))}`;
  if (bare.length < MAX_LENGTH && names.some(compileValuePattern(`*${bare}*`)))
    return `${quoted(`*${bare}*`)} does`;
  const near = suggest(bare, names);
  if (near !== null) return `did you mean ${quoted(near)}?`;
  const [id, call] = names;
  return id === undefined ? 'it has none' : `it has operations such as ${quoted(id)} or ${quoted(call!)}`;
}

/** A pattern has 256 characters at most. */
const MAX_LENGTH = 250;
