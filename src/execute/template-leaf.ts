/** One text of a template while it is compiled, and what was found in it. */
import type { Blame } from '../snapshot/snapshot.ts';
import { type Parsed, parseText, type Statement } from './template-parse.ts';
import type { Unreadable } from './template-tags.ts';

/** A path from one of the roots of a template's context, as it is written. */
export interface Reference {
  /** Such as `['steps', 'find', 'id']`, the root's name first. */
  readonly path: readonly string[];
  /** JSON pointer of the text within the template. */
  readonly pointer: string;
  /** Where in the text, in UTF-16 units. */
  readonly offset: number;
}

export interface Problem {
  readonly pointer: string;
  readonly offset: number;
  readonly message: string;
  /** An unknown word and those that could stand there, for a suggestion. */
  readonly unknown?: { readonly word: string; readonly known: readonly string[] };
}

export interface Inspection {
  readonly references: readonly Reference[];
  readonly problems: readonly Problem[];
}

export interface TemplateOptions {
  /** How templates call the element of `for_each`; null: there is none. Default: `item`. */
  readonly item?: string | null;
  /** Whose the element is. Default: an upstream's. */
  readonly item_blame?: Blame;
}

export interface Findings {
  readonly references: Reference[];
  readonly problems: Problem[];
  /** Of the texts so far, in UTF-16 units. */
  length: number;
}

/** Of all texts of a template that hold expressions. */
const MAX_LENGTH = 32_768;

export interface Leaf {
  readonly text: string;
  /** None when the text cannot be read. */
  readonly statements: readonly Statement[];
  readonly item: string | null;
  /** Whose values the text has referred to so far. */
  blame(): Blame;
  /** Without a node the problem is the whole text's. */
  report(node: hbs.AST.Node | null, message: string, unknown?: Problem['unknown']): void;
  refer(node: hbs.AST.Node, path: readonly string[]): void;
}

/** A parsed text, which notes what is found in it. */
export function readLeaf(text: string, pointer: string, options: TemplateOptions, findings: Findings): Leaf {
  const { item = 'item' } = options;
  const { references, problems } = findings;
  findings.length += text.length;
  const parsed: Parsed | Unreadable =
    findings.length > MAX_LENGTH
      ? { problem: `a template may have ${MAX_LENGTH} characters`, offset: 0 }
      : parseText(text);
  const failed = 'problem' in parsed;
  if (failed) problems.push({ pointer, offset: parsed.offset, message: parsed.problem });
  const offsetOf = failed ? () => 0 : parsed.offsetOf;
  const roots = new Set<string>();
  return {
    text,
    statements: failed ? [] : parsed.statements,
    item,
    blame: () => blameFor(roots, options),
    report(node, message, unknown) {
      const offset = node === null ? 0 : offsetOf(node);
      problems.push({ pointer, offset, message, ...(unknown !== undefined && { unknown }) });
    },
    refer(node, path) {
      roots.add(path[0]!);
      references.push({ path, pointer, offset: offsetOf(node) });
    },
  };
}

/** Whose values these roots give. What reads nothing is the manifest's, and no caller can mend it. */
export function blameFor(
  roots: ReadonlySet<string>,
  { item = 'item', item_blame = 'UPSTREAM_FAILED' }: TemplateOptions,
): Blame {
  const isCallers = (root: string): boolean =>
    root === 'input' || (root === item && item_blame === 'INVALID_ARGUMENTS');
  return roots.size > 0 && [...roots].every(isCallers) ? 'INVALID_ARGUMENTS' : 'UPSTREAM_FAILED';
}
