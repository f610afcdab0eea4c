/** The operations below a path as they are written, and the parameters that apply to one. */
import {
  follow,
  inCircle,
  isObject,
  type JsonObject,
  type Located,
  MAX_HOPS,
  Malformed,
  member,
  nounOf,
  pointerTo,
  quote,
  resolve,
  textOf,
} from './reference.ts';

/** A path item, and what it refers to; a field is that of the first layer that has it. */
export type PathItem = readonly Located<JsonObject>[];

/** Takes what is wrong with a part that can do without being left out. */
export type Report = (pointer: string, message: string) => void;

/** In the order of the specification; operations of one path are read in it. */
const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const;

/** Throws {@link Malformed} when the item, or what it refers to, is no object. */
export function readPathItem(document: unknown, start: Located): PathItem {
  const layers: Located<JsonObject>[] = [];
  let item = start;
  for (;;) {
    const { value, pointer } = item;
    if (!isObject(value)) {
      throw new Malformed(pointer, `a path item must be an object, not ${nounOf(value)}`);
    }
    if (layers.length === MAX_HOPS) throw inCircle(start.pointer);
    layers.push({ value, pointer });
    const reference = member(value, '$ref');
    if (reference === undefined) return layers;
    item = resolve(document, reference, pointer);
  }
}

/** A field of the item; null: it has none. */
export function fieldOf(item: PathItem, key: string): Located | null {
  for (const { value, pointer } of item) {
    const field = member(value, key);
    if (field !== undefined) return { value: field, pointer: pointerTo(pointer, key) };
  }
  return null;
}

/** The methods of the item, in lower case. */
export function methodsOf(item: PathItem): readonly string[] {
  return METHODS.filter((method) => fieldOf(item, method) !== null);
}

/** The operation of a method. Throws {@link Malformed} when it is no object. */
export function operationAt(item: PathItem, method: string): Located<JsonObject> {
  const { value, pointer } = fieldOf(item, method) ?? { value: undefined, pointer: '' };
  if (isObject(value)) return { value, pointer };
  throw new Malformed(pointer, `an operation must be an object, not ${nounOf(value)}`);
}

/**
 * The parameters of an operation: the item's, each overridden by the operation's own of the same name and place,
 * then those that only the operation has. Throws {@link Malformed} when one cannot be read.
 */
export function parametersOf(
  document: unknown,
  item: PathItem,
  operation: Located<JsonObject>,
  report: Report,
): readonly Located<JsonObject>[] {
  const own = member(operation.value, 'parameters');
  const merged = new Map([
    ...listed(document, fieldOf(item, 'parameters'), report),
    ...listed(
      document,
      own === undefined ? null : { value: own, pointer: pointerTo(operation.pointer, 'parameters') },
      report,
    ),
  ]);
  return [...merged.values()];
}

/** The parameters of one list, by name and place. */
function listed(
  document: unknown,
  list: Located | null,
  report: Report,
): ReadonlyMap<string, Located<JsonObject>> {
  const found = new Map<string, Located<JsonObject>>();
  if (list === null) return found;
  if (!Array.isArray(list.value)) {
    throw new Malformed(list.pointer, `parameters must be a list, not ${nounOf(list.value)}`);
  }
  for (const [index, entry] of list.value.entries()) {
    const written = pointerTo(list.pointer, index);
    const parameter = follow(document, { value: entry, pointer: written });
    const name = textOf(parameter.value, 'name');
    const place = textOf(parameter.value, 'in');
    if (name === null || name === '' || place === null) {
      throw new Malformed(parameter.pointer, 'a parameter needs the texts name and in');
    }
    const key = `${place} ${place === 'header' ? name.toLowerCase() : name}`;
    if (found.has(key)) report(written, `the ${place} parameter ${quote(name)} was given before`);
    else found.set(key, parameter);
  }
  return found;
}
