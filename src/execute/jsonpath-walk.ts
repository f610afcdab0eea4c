/** How far an evaluation may go. An expression of a few characters can ask for the work of centuries. */
import { GatewayError } from '../errors.ts';

/** Nodes that one evaluation may visit: all of a reply of 10 MB, in tens of milliseconds. */
export const MAX_VISITS = 1_000_000;

/** Levels below each other that an evaluation may enter. */
const MAX_DEPTH = 512;

export interface Walk {
  readonly text: string;
  /** The value of `$`. */
  readonly root: unknown;
  /** Visits that it may make. */
  readonly limit: number;
  visits: number;
  depth: number;
}

export function startWalk(text: string, root: unknown, limit = MAX_VISITS): Walk {
  return { text, root, limit, visits: 0, depth: 0 };
}

/** Counts visits. Throws GatewayError beyond the limit. */
export function spend(walk: Walk, visits: number): void {
  walk.visits += visits;
  if (walk.visits > walk.limit) {
    throw new GatewayError(
      'INVALID_ARGUMENTS',
      `JSONPath ${JSON.stringify(walk.text)} visits more than ${walk.limit} nodes; name more of the path`,
    );
  }
}

/** Goes one level down. Throws GatewayError beyond the limit. */
export function enter(walk: Walk): void {
  walk.depth += 1;
  if (walk.depth > MAX_DEPTH) {
    throw new GatewayError(
      'INVALID_ARGUMENTS',
      `JSONPath ${JSON.stringify(walk.text)} goes deeper than ${MAX_DEPTH} levels; name more of the path`,
    );
  }
}

export function leave(walk: Walk): void {
  walk.depth -= 1;
}
