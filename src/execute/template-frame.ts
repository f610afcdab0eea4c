/** What a rendering needs while it runs: its values, the turns of its loops, and how much work is left. */
import { GatewayError } from '../errors.ts';
import type { Blame, TemplateContext } from '../snapshot/snapshot.ts';

/** Characters made, turns of loops and elements read that one rendering may take, all together. */
const MAX_EFFORT = 1_048_576;

/** A template text, as far as messages about its values go. */
export interface Source {
  readonly text: string;
  /** Whose values it reads. */
  readonly blame: Blame;
}

/** One turn of an `each`, or the only one of a `with`. */
export interface Turn {
  readonly value: unknown;
  /** Member name or index. */
  readonly key: string | number;
  readonly index: number;
  readonly last: boolean;
}

export interface Frame {
  readonly source: Source;
  readonly context: TemplateContext;
  /** Of the open blocks, outermost first. */
  readonly turns: Turn[];
  readonly effort: Effort;
}

/** Shared by all texts of one structured template. */
export interface Effort {
  spent: number;
}

/** Throws GatewayError when the rendering has taken too much. */
export function spend(frame: Frame, effort: number): void {
  frame.effort.spent += effort;
  if (frame.effort.spent > MAX_EFFORT) {
    fail(frame, `makes more than ${MAX_EFFORT} characters, or reads as many elements`);
  }
}

/** Ends the rendering: a value is not what the template can use. */
export function fail(frame: Frame, message: string): never {
  const { text, blame } = frame.source;
  const shown = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  throw new GatewayError(blame, `template ${JSON.stringify(shown)} ${message}`);
}
