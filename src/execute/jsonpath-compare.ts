/** Comparisons of RFC 9535, 2.3.5.2.2. `undefined` is the standard's Nothing: a path that matched no node. */
import type { Operator } from './jsonpath-parse.ts';
import { enter, leave, spend, type Walk } from './jsonpath-walk.ts';

export function compare(walk: Walk, operator: Operator, left: unknown, right: unknown): boolean {
  switch (operator) {
    case '==':
      return equal(walk, left, right);
    case '!=':
      return !equal(walk, left, right);
    case '<':
      return less(walk, left, right);
    case '<=':
      return less(walk, left, right) || equal(walk, left, right);
    case '>':
      return less(walk, right, left);
    case '>=':
      return less(walk, right, left) || equal(walk, left, right);
  }
}

/** RFC 9535, 2.4.4: characters of a text, elements, members; else nothing. */
export function lengthOf(walk: Walk, value: unknown): number | undefined {
  if (typeof value === 'string') {
    spendText(walk, value);
    return codePoints(value);
  }
  if (typeof value !== 'object' || value === null) return undefined;
  return Array.isArray(value) ? value.length : namesOf(walk, value).length;
}

function equal(walk: Walk, left: unknown, right: unknown): boolean {
  if (typeof left === 'string') spendText(walk, left);
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  enter(walk);
  const same =
    Array.isArray(left) && Array.isArray(right)
      ? equalLists(walk, left, right)
      : Array.isArray(left) === Array.isArray(right) && equalObjects(walk, left, right);
  leave(walk);
  return same;
}

function equalLists(walk: Walk, left: readonly unknown[], right: readonly unknown[]): boolean {
  if (left.length !== right.length) return false;
  spend(walk, left.length);
  return left.every((element, index) => equal(walk, element, right[index]));
}

function equalObjects(walk: Walk, left: object, right: object): boolean {
  const names = namesOf(walk, left);
  return (
    names.length === namesOf(walk, right).length &&
    names.every((name) => Object.hasOwn(right, name) && equal(walk, left[name], right[name]))
  );
}

function namesOf(walk: Walk, value: object): (keyof object)[] {
  const names = Object.keys(value) as (keyof object)[];
  spend(walk, names.length);
  return names;
}

/** Numbers, and texts by code point; other values have no order. */
function less(walk: Walk, left: unknown, right: unknown): boolean {
  if (typeof left === 'number' && typeof right === 'number') return left < right;
  if (typeof left !== 'string' || typeof right !== 'string') return false;
  spendText(walk, left);
  return lessText(left, right);
}

function lessText(left: string, right: string): boolean {
  const shorter = Math.min(left.length, right.length);
  for (let i = 0; i < shorter; i++) {
    const a = left.charCodeAt(i);
    const b = right.charCodeAt(i);
    // Surrogates stand for code points above all others, though their units do not.
    if (a !== b) return isSurrogate(a) === isSurrogate(b) ? a < b : isSurrogate(b);
  }
  return left.length < right.length;
}

function codePoints(text: string): number {
  let count = text.length;
  for (let i = 1; i < text.length; i++) {
    if ((text.charCodeAt(i) & 0xfc00) === 0xdc00 && (text.charCodeAt(i - 1) & 0xfc00) === 0xd800) count -= 1;
  }
  return count;
}

function isSurrogate(unit: number): boolean {
  return (unit & 0xf800) === 0xd800;
}

/** Reading a long text over and over takes time as visits do: one for each 64 characters. */
function spendText(walk: Walk, text: string): void {
  spend(walk, text.length >>> 6);
}
