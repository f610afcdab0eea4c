/**
 * Compiles the expressions of a template: paths, helper calls and literals. A path reads own properties alone,
 * by plain access, so that getters run and prototypes are never seen.
 */

import type { Frame, Turn } from './template-frame.ts';
import { HELPER_NAMES, type Helper, helperNamed } from './template-helpers.ts';
import type { Leaf } from './template-leaf.ts';
import type { Expression as Node } from './template-parse.ts';

/** What an expression gives while a template renders; undefined: nothing. */
export type Evaluate = (frame: Frame) => unknown;

/** The block that an expression stands in, for the names that it brings. */
export interface Scope {
  readonly outer: Scope | null;
  readonly block: 'each' | 'with';
  /** Place of its turn in {@link Frame.turns}. */
  readonly depth: number;
  /** Names after `as`: the value, and for each its key. */
  readonly names: readonly string[];
}

/** The variables of `each`. */
const VARIABLES: Readonly<Record<string, (turn: Turn) => unknown>> = {
  index: (turn) => turn.index,
  key: (turn) => turn.key,
  first: (turn) => turn.index === 0,
  last: (turn) => turn.last,
};

const NOTHING: Evaluate = () => undefined;

/** A path or literal, or a call of a helper with arguments. What is wrong with it is reported to the leaf. */
export function compileExpression(node: Node, scope: Scope | null, leaf: Leaf): Evaluate {
  switch (node.type) {
    case 'PathExpression':
      return compilePath(node as hbs.AST.PathExpression, scope, leaf);
    case 'SubExpression':
      return compileCall(node as hbs.AST.SubExpression, scope, leaf);
    case 'StringLiteral':
    case 'NumberLiteral':
    case 'BooleanLiteral':
    case 'NullLiteral': {
      const value = (node as hbs.AST.Literal & { readonly value: unknown }).value;
      return () => value;
    }
    default:
      leaf.report(node, 'undefined is not a value that a template can write; null is');
      return NOTHING;
  }
}

/** What stands between `{{` and `}}`: a path, or a helper and its arguments. */
export function compileMustache(node: hbs.AST.MustacheStatement, scope: Scope | null, leaf: Leaf): Evaluate {
  if (!node.escaped) {
    leaf.report(node, 'write {{ without &: values are escaped by where they stand');
    return NOTHING;
  }
  const { path } = node;
  if (path.type !== 'PathExpression') {
    leaf.report(node, 'an expression begins with a path or a helper; write a fixed value without {{ and }}');
    return NOTHING;
  }
  const called =
    node.params.length > 0 || node.hash !== undefined || isHelper(path as hbs.AST.PathExpression);
  return called ? compileCall(node, scope, leaf) : compilePath(path as hbs.AST.PathExpression, scope, leaf);
}

function isHelper({ original }: hbs.AST.PathExpression): boolean {
  return helperNamed(original) !== undefined;
}

function compileCall(
  node: hbs.AST.MustacheStatement | hbs.AST.SubExpression,
  scope: Scope | null,
  leaf: Leaf,
): Evaluate {
  const args = node.params.map((param) => compileExpression(param, scope, leaf));
  const { original } = node.path as hbs.AST.PathExpression;
  const helper = helperNamed(original);
  if (helper === undefined) {
    const message = `there is no helper ${original}; helpers are ${HELPER_NAMES.join(', ')}`;
    leaf.report(node.path, message, { word: original, known: HELPER_NAMES });
    return NOTHING;
  }
  checkArguments(node, helper, original, leaf);
  return (frame) =>
    helper.run(
      frame,
      args.map((evaluate) => evaluate(frame)),
    );
}

function checkArguments(
  node: hbs.AST.MustacheStatement | hbs.AST.SubExpression,
  { least, most, usage }: Helper,
  name: string,
  leaf: Leaf,
): void {
  const given = node.params.length;
  const pair = node.hash?.pairs[0];
  if (pair !== undefined) leaf.report(pair, `${name} takes no named arguments such as ${pair.key}=`);
  else if (given < least || given > most) {
    const wanted = least === most ? `${least}` : `${least} to ${most}`;
    leaf.report(node.path, `${name} takes ${wanted} arguments, not ${given}, as in {{${usage}}}`);
  }
}

function compilePath(node: hbs.AST.PathExpression, scope: Scope | null, leaf: Leaf): Evaluate {
  if (node.data) return compileVariable(node, scope, leaf);
  if (node.depth > 0) {
    leaf.report(
      node,
      '../ is not available; roots are known everywhere, and a block names its value: as |name|',
    );
    return NOTHING;
  }
  if (/^(this|\.)([./]|$)/.test(node.original)) {
    if (scope !== null) return readTurn((turn) => turn.value, scope, node.parts);
    leaf.report(node, 'this is known within each and with only');
    return NOTHING;
  }
  const [name = '', ...rest] = node.parts;
  for (let at = scope; at !== null; at = at.outer) {
    const place = at.names.indexOf(name);
    if (place >= 0) return readTurn(place === 0 ? (turn) => turn.value : (turn) => turn.key, at, rest);
  }
  return compileRoot(node, name, rest, scope, leaf);
}

function compileRoot(
  node: hbs.AST.PathExpression,
  name: string,
  rest: readonly string[],
  scope: Scope | null,
  leaf: Leaf,
): Evaluate {
  const root = name === leaf.item ? 'item' : name === 'input' || name === 'steps' ? name : null;
  if (root !== null) {
    leaf.refer(node, node.parts);
    return (frame) => read(frame.context[root], rest);
  }
  const known = ['input', 'steps', ...(leaf.item === null ? [] : [leaf.item])];
  const within = scope === null ? '' : `; of the value of the block write this.${name}`;
  const elsewhere = name === 'item' ? ' (item is known in a step with for_each)' : '';
  const message = `${name} is not known here${elsewhere}; templates read ${known.join(', ')}${within}`;
  leaf.report(node, message, { word: name, known: [...known, ...HELPER_NAMES] });
  return NOTHING;
}

function compileVariable(node: hbs.AST.PathExpression, scope: Scope | null, leaf: Leaf): Evaluate {
  let each = scope;
  while (each !== null && each.block !== 'each') each = each.outer;
  const name = node.parts.join('.');
  const variable = Object.hasOwn(VARIABLES, name) ? VARIABLES[name] : undefined;
  if (variable === undefined || node.depth > 0) {
    const known = Object.keys(VARIABLES).map((one) => `@${one}`);
    leaf.report(node, `there is no ${node.original}; within each there are ${known.join(', ')}`);
    return NOTHING;
  }
  if (each !== null) return readTurn(variable, each, []);
  leaf.report(node, `@${name} is known within each only`);
  return NOTHING;
}

function readTurn(pick: (turn: Turn) => unknown, { depth }: Scope, names: readonly string[]): Evaluate {
  return (frame) => read(pick(frame.turns[depth]!), names);
}

function read(start: unknown, names: readonly string[]): unknown {
  let value = start;
  for (const name of names) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = value[name as keyof object];
  }
  return value;
}
