/** The pairs of name and value of a query, a cookie header or a form. */
import type { Pair } from './style.ts';
import type { Refuse } from './value.ts';

export interface Pairs {
  /** Adds what one value came to. Refuses it when it names what another value does. */
  add(owner: string, pairs: readonly Pair[], refuse: Refuse): void;
  list(): readonly Pair[];
}

/**
 * An object that is exploded brings names of its own. `taken` are the names that are known beforehand, so that it
 * cannot bring in a second value for one of them, whichever comes first.
 */
export function createPairs(taken: Iterable<string>): Pairs {
  const owners = new Map<string, string>();
  for (const name of taken) owners.set(name, name);
  const list: Pair[] = [];
  return {
    add(owner, pairs, refuse) {
      for (const pair of pairs) {
        const first = owners.get(pair.name) ?? owner;
        if (first !== owner) {
          throw refuse(
            `has the key ${JSON.stringify(pair.name)}, which is given by ${JSON.stringify(first)}`,
          );
        }
        owners.set(pair.name, owner);
        list.push(pair);
      }
    },
    list: () => list,
  };
}
