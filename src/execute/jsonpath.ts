/**
 * JSONPath of RFC 9535, for `extract` in manifests and for the slices that agents ask for. No expression
 * evaluates code, reads anything but own properties of the value, or works longer than its limits
 * (docs/decisions/0004-jsonpath-engine.md).
 */
import type { Allowance, ListQuery, Query } from '../snapshot/snapshot.ts';
import { compare, lengthOf } from './jsonpath-compare.ts';
import {
  type Operand,
  type PathQuery,
  parseQuery,
  type Segment,
  type Selector,
  type Test,
} from './jsonpath-parse.ts';
import { enter, leave, MAX_VISITS, spend, startWalk, type Walk } from './jsonpath-walk.ts';

/** Throws GatewayError INVALID_ARGUMENTS; its message says where the expression is wrong and how to mend it. */
export function compileQuery(text: string): Query {
  const query = parseQuery(text);
  return {
    text,
    singular: query.singular,
    select: (value, allowance) =>
      allowance === undefined
        ? selectFrom(startWalk(text, value), query, value)
        : selectWithin(allowance, text, query, value),
  };
}

/** As {@link compileQuery}, for a query that matches the elements of a list. */
export function compileList(text: string): ListQuery {
  const { segments } = parseQuery(text);
  return { ...compileQuery(text), isAbsent: (value) => isAbsent(segments, value) };
}

/** Where a path says which elements it wants, what it does not find may be unwanted; what it names must be there. */
function isAbsent([segment, ...rest]: readonly Segment[], value: unknown): boolean {
  if (segment === undefined || value === null) return false;
  const [selector, ...others] = segment.selectors;
  if (segment.descendants || others.length > 0) return false;
  switch (selector?.kind) {
    case 'name': {
      const found = member(value, selector.name);
      return found === undefined || isAbsent(rest, found);
    }
    case 'index': {
      const found = element(value, selector.index);
      return found === undefined ? !isEmptyList(value) : isAbsent(rest, found);
    }
    case 'wildcard': {
      if (typeof value !== 'object') return true;
      const elements = Object.values(value);
      return elements.length > 0 && elements.every((one) => isAbsent(rest, one));
    }
    default:
      return typeof value !== 'object';
  }
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function selectWithin(allowance: Allowance, text: string, query: PathQuery, value: unknown): unknown[] {
  const walk = startWalk(text, value, Math.min(MAX_VISITS, allowance.visits));
  try {
    return selectFrom(walk, query, value);
  } finally {
    allowance.visits -= walk.visits;
  }
}

/** The values that a query matches, in the order of RFC 9535, 2.1.2. */
function selectFrom(walk: Walk, query: PathQuery, current: unknown): unknown[] {
  const start = query.from === '$' ? walk.root : current;
  if (query.singular) {
    const value = follow(query, start);
    return value === undefined ? [] : [value];
  }
  let nodes: unknown[] = [start];
  for (const segment of query.segments) {
    const matched: unknown[] = [];
    for (const node of nodes) {
      if (segment.descendants) descend(walk, segment, node, matched);
      else selectChildren(walk, segment, node, matched);
    }
    nodes = matched;
  }
  return nodes;
}

/** The value that a singular query matches, or undefined. */
function follow(query: PathQuery, start: unknown): unknown {
  let value = start;
  for (const { selectors } of query.segments) {
    const selector = selectors[0];
    if (selector?.kind === 'name') value = member(value, selector.name);
    else if (selector?.kind === 'index') value = element(value, selector.index);
    if (value === undefined) return undefined;
  }
  return value;
}

/** A node before its children, and elements in their order. */
function descend(walk: Walk, segment: Segment, node: unknown, matched: unknown[]): void {
  // Values that are no structure have nothing to select.
  if (typeof node !== 'object' || node === null) return;
  selectChildren(walk, segment, node, matched);
  enter(walk);
  for (const child of children(walk, node)) descend(walk, segment, child, matched);
  leave(walk);
}

function selectChildren(walk: Walk, segment: Segment, node: unknown, matched: unknown[]): void {
  for (const selector of segment.selectors) select(walk, selector, node, matched);
}

function select(walk: Walk, selector: Selector, node: unknown, matched: unknown[]): void {
  switch (selector.kind) {
    case 'name':
      add(walk, member(node, selector.name), matched);
      break;
    case 'index':
      add(walk, element(node, selector.index), matched);
      break;
    case 'wildcard':
      for (const child of children(walk, node)) matched.push(child);
      break;
    case 'slice':
      slice(walk, selector, node, matched);
      break;
    case 'filter':
      for (const child of children(walk, node)) {
        if (holds(walk, selector.test, child)) matched.push(child);
      }
  }
}

function add(walk: Walk, value: unknown, matched: unknown[]): void {
  spend(walk, 1);
  if (value !== undefined) matched.push(value);
}

/** RFC 9535, 2.3.4.2.2. */
function slice(
  walk: Walk,
  { start, end, step }: Extract<Selector, { kind: 'slice' }>,
  node: unknown,
  matched: unknown[],
): void {
  if (!Array.isArray(node) || step === 0) return;
  const { length } = node;
  const forward = step > 0;
  const bound = (given: number | null, otherwise: number): number => {
    const at = given === null ? otherwise : given < 0 ? length + given : given;
    return forward ? Math.min(Math.max(at, 0), length) : Math.min(Math.max(at, -1), length - 1);
  };
  const first = bound(start, forward ? 0 : length - 1);
  const last = bound(end, forward ? length : -1 - length);
  for (let at = first; forward ? at < last : at > last; at += step) add(walk, node[at], matched);
}

function holds(walk: Walk, test: Test, current: unknown): boolean {
  switch (test.kind) {
    case 'or':
      return test.tests.some((one) => holds(walk, one, current));
    case 'and':
      return test.tests.every((one) => holds(walk, one, current));
    case 'not':
      return !holds(walk, test.test, current);
    case 'exists':
      return selectFrom(walk, test.query, current).length > 0;
    case 'compare':
      return compare(
        walk,
        test.operator,
        evaluate(walk, test.left, current),
        evaluate(walk, test.right, current),
      );
  }
}

/** The value of an operand, or undefined for the standard's Nothing. */
function evaluate(walk: Walk, operand: Operand, current: unknown): unknown {
  spend(walk, 1);
  switch (operand.kind) {
    case 'literal':
      return operand.value;
    case 'query':
      return follow(operand.query, operand.query.from === '$' ? walk.root : current);
    case 'length':
      return lengthOf(walk, evaluate(walk, operand.of, current));
    case 'count':
      return selectFrom(walk, operand.of, current).length;
    case 'value': {
      const matched = selectFrom(walk, operand.of, current);
      return matched.length === 1 ? matched[0] : undefined;
    }
  }
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? value[name as keyof object] : undefined;
}

function element(value: unknown, index: number): unknown {
  return Array.isArray(value) ? value[index < 0 ? value.length + index : index] : undefined;
}

function children(walk: Walk, node: unknown): readonly unknown[] {
  if (typeof node !== 'object' || node === null) return [];
  const values: readonly unknown[] = Array.isArray(node) ? node : Object.values(node);
  spend(walk, values.length + 1);
  return values;
}
