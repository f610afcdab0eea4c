/**
 * The styles of OpenAPI (3.1 section 4.8.12): how a text, list or map is written into a path, a query, a header or
 * a cookie. A value that could be read as another one once it is written is refused.
 */
import type { ParameterStyle, Spelling } from './operation.ts';
import { isNothing, plainText, type Refuse, type Shape, shapeOf } from './value.ts';

export type Encode = (text: string) => string;

/** Parameters within a deepObject; what is given is the caller's, and may be of any depth. */
const MAX_DEPTH = 16;

const PREFIXES: Readonly<Partial<Record<ParameterStyle, string>>> = { label: '.', matrix: ';' };

/** A value in a path, with the prefix of its style. */
export function pathText(
  name: string,
  { style, explode }: Pick<Spelling, 'style' | 'explode'>,
  shape: Shape,
  encode: Encode,
  refuse: Refuse,
): string {
  const prefix = PREFIXES[style] ?? '';
  const key = style === 'matrix' ? `${encode(name)}=` : '';
  if (shape.kind === 'text') return prefix + key + encode(shape.text);
  if (!explode) return prefix + key + flat(shape).map(encode).join(',');
  // Between the parts of a label stands a dot, which is never encoded.
  if (style === 'label') apart(flat(shape), '.', refuse);
  const separator = style === 'simple' ? ',' : prefix;
  const parts =
    shape.kind === 'list'
      ? shape.items.map((item) => key + encode(item))
      : shape.entries.map(([field, value]) => `${encode(field)}=${encode(value)}`);
  return prefix + parts.join(separator);
}

/** A value in a header, where nothing is encoded. */
export function headerText({ explode }: Pick<Spelling, 'explode'>, shape: Shape, refuse: Refuse): string {
  if (shape.kind === 'text') return shape.text;
  apart(flat(shape), ',', refuse);
  if (shape.kind === 'list' || !explode) return flat(shape).join(',');
  apart(
    shape.entries.map(([field]) => field),
    '=',
    refuse,
  );
  return shape.entries.map(([field, value]) => `${field}=${value}`).join(',');
}

export interface Pair {
  /** As it is, not encoded. */
  readonly name: string;
  /** Encoded. */
  readonly value: string;
}

const DELIMITERS: Readonly<Partial<Record<ParameterStyle, string>>> = {
  form: ',',
  spaceDelimited: ' ',
  pipeDelimited: '|',
};

/** The pairs of name and value that a query, a cookie or a form has of one value; none for nothing. */
export function pairsOf(
  name: string,
  spelling: Spelling,
  value: unknown,
  encode: Encode,
  refuse: Refuse,
): readonly Pair[] {
  if (spelling.style === 'deepObject') return deepPairs(name, value, encode, refuse, 0);
  const shape = shapeOf(value, refuse);
  if (shape === null) return [];
  if (shape.kind === 'text') return [{ name, value: encode(shape.text) }];
  if (!spelling.explode) {
    return [{ name, value: joined(flat(shape), DELIMITERS[spelling.style] ?? ',', encode, refuse) }];
  }
  if (shape.kind === 'list') return shape.items.map((item) => ({ name, value: encode(item) }));
  // Its keys become names, and `role[name]` is the name of what is in a deepObject.
  if (shape.entries.some(([field]) => /[[\]]/.test(field))) throw refuse('has a key with a bracket in it');
  return shape.entries.map(([field, item]) => ({ name: field, value: encode(item) }));
}

/** The comma is written as it is, and the other delimiters are characters that a query cannot hold. */
function joined(parts: readonly string[], delimiter: string, encode: Encode, refuse: Refuse): string {
  const written = delimiter === ',' ? delimiter : encode(delimiter);
  if (encode(delimiter) === written) apart(parts, delimiter, refuse);
  return parts.map(encode).join(written);
}

/**
 * `color[R]=100&color[G]=200`. OpenAPI leaves open what is nested deeper; here it goes on the same way, and lists
 * have their indexes (`color[tags][0]=warm`), as servers that read such queries take them.
 */
function deepPairs(
  name: string,
  value: unknown,
  encode: Encode,
  refuse: Refuse,
  depth: number,
): readonly Pair[] {
  if (isNothing(value)) return [];
  if (typeof value !== 'object') return [{ name, value: encode(plainText(value, refuse)) }];
  if (depth === MAX_DEPTH) throw refuse(`is nested more than ${MAX_DEPTH} deep`);
  return Object.entries(value).flatMap(([key, item]) => {
    if (/[[\]]/.test(key)) throw refuse('has a key with a bracket in it');
    return deepPairs(`${name}[${plainText(key, refuse)}]`, item, encode, refuse, depth + 1);
  });
}

/** Keys and values in turn. */
function flat(shape: Exclude<Shape, { kind: 'text' }>): readonly string[] {
  return shape.kind === 'list' ? shape.items : shape.entries.flat();
}

function apart(parts: readonly string[], delimiter: string, refuse: Refuse): void {
  if (parts.some((part) => part.includes(delimiter))) {
    throw refuse(`holds ${JSON.stringify(delimiter)}, which separates the values of its style`);
  }
}
