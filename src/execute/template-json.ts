/**
 * The places of a `body_template` where values go. They are decided when the template is compiled, by reading
 * its fixed text as JSON: within a string a value becomes escaped text, elsewhere a whole JSON value. So the
 * structure of the result is the template's own, whatever the values are.
 */
import { asText } from './template-helpers.ts';

/** How a value becomes text at its place. */
export type Insert = (value: unknown) => string;

/** A place in the text that a template makes, moving on as the template is read. */
export interface Place {
  /** Fixed text comes next. Answers with what is wrong with it, or null. */
  pass(text: string): string | null;
  /** A value comes next: how it is inserted, or what is wrong. */
  insert(): Insert | { readonly problem: string };
  /** A block comes next, whose branches may be left out or repeated. */
  openBlock(): void;
  /** Where the text stands now; branches of one block begin and end at the same. */
  mark(): string;
}

/** Text that is no JSON: values go in as they are. */
export const PLAIN: Place = {
  pass: () => null,
  insert: () => asText,
  openBlock: () => undefined,
  mark: () => '',
};

export interface JsonPlace extends Place {
  /** What is wrong with the template as a whole, or null. */
  end(): string | null;
}

type State = 'outside' | 'string' | 'escape' | 'hex1' | 'hex2' | 'hex3' | 'hex4';

const WITHIN_STRING: Readonly<Record<Exclude<State, 'outside'>, State>> = {
  string: 'string',
  escape: 'string',
  hex4: 'hex3',
  hex3: 'hex2',
  hex2: 'hex1',
  hex1: 'string',
};

export function createJsonPlace(): JsonPlace {
  let state: State = 'outside';
  /** The string that is open holds a value. */
  let holdsValue = false;
  /** What was just written comes from a value, so that a colon would make it a member's name. */
  let afterValue = false;
  /** The text with `null` for values; null once blocks decide what it is. */
  let sample: string | null = '';

  const step = (character: string): string | null => {
    if (state === 'outside') {
      if (character === ':' && afterValue) return 'the name of a member cannot come from a value';
      if (character === '"') {
        state = 'string';
        holdsValue = false;
      }
      if (!/\s/.test(character)) afterValue = false;
      return null;
    }
    if (character < ' ') return 'a JSON string cannot hold a line break or control character; write \\n';
    if (state === 'string' && character === '"') {
      state = 'outside';
      afterValue = holdsValue;
    } else if (state === 'string' && character === '\\') state = 'escape';
    else state = state === 'escape' && character === 'u' ? 'hex4' : WITHIN_STRING[state];
    return null;
  };

  return {
    pass(text) {
      if (sample !== null) sample += text;
      for (const character of text) {
        const problem = step(character);
        if (problem !== null) return problem;
      }
      return null;
    },
    insert() {
      if (state === 'outside') {
        if (sample !== null) sample += ' null ';
        afterValue = true;
        return asJson;
      }
      if (state !== 'string') return { problem: 'an expression cannot follow a backslash' };
      holdsValue = true;
      return asStringContent;
    },
    openBlock() {
      if (state === 'outside') sample = null;
    },
    mark: () => state,
    end() {
      if (state !== 'outside') return 'a string is not closed';
      try {
        if (sample !== null) JSON.parse(sample);
        return null;
      } catch (error) {
        return `this is not JSON, with null for each value: ${(error as Error).message}`;
      }
    },
  };
}

/** A whole value. The spaces keep it apart from digits and values beside it. */
function asJson(value: unknown): string {
  return ` ${JSON.stringify(value) ?? 'null'} `;
}

function asStringContent(value: unknown): string {
  return JSON.stringify(asText(value)).slice(1, -1);
}
