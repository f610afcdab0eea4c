/** Finds the arguments that a capability names as paths or URLs. */

export interface NamedTexts {
  readonly texts: readonly string[];
  /** Something was given that is neither a text nor a list of texts: no rule can vouch for it. */
  readonly unreadable: boolean;
}

/**
 * The texts under these names, lists flattened. A dotted name reads nested objects, and each object of a list on
 * the way; an argument whose own name has the dot counts as well. What is absent or null is left out. Only own
 * properties are read, so `__proto__` and `constructor` name nothing.
 */
export function textsAt(args: unknown, names: Iterable<string>): NamedTexts {
  const texts: string[] = [];
  let unreadable = false;
  for (const name of names) {
    for (const value of valuesAt(args, name)) {
      if (typeof value === 'string') texts.push(value);
      else unreadable = true;
    }
  }
  return { texts, unreadable };
}

function valuesAt(args: unknown, name: string): unknown[] {
  const parts = name.split('.');
  const nested = parts.reduce((values, part) => values.flatMap((value) => property(value, part)), [args]);
  const plain = parts.length > 1 ? property(args, name) : [];
  return [...plain, ...nested];
}

/** The present values of one property, a list giving its items. */
function property(value: unknown, name: string): unknown[] {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return [];
  const found: unknown = (value as Readonly<Record<string, unknown>>)[name];
  return (Array.isArray(found) ? found : [found]).filter((item) => item !== null && item !== undefined);
}
