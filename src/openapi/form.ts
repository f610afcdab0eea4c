/** Bodies of application/x-www-form-urlencoded. */
import { encode, encodeReserved } from './encode.ts';
import { isFile } from './file.ts';
import { isJson } from './media-type.ts';
import type { FormField } from './operation.ts';
import { createPairs } from './pairs.ts';
import { type Pair, pairsOf } from './style.ts';
import { isNothing, jsonText, plainText, type Refuse } from './value.ts';

/** The fields that have a value, with how the document wants each to be written. */
export interface GivenField {
  readonly name: string;
  readonly value: unknown;
  readonly field: FormField | null;
  readonly refuse: Refuse;
}

export function givenFields(
  fields: ReadonlyMap<string, FormField>,
  values: Readonly<Record<string, unknown>>,
  refuse: Refuse,
): readonly GivenField[] {
  return Object.keys(values)
    .filter((name) => !isNothing(values[name]))
    .map((name) => ({
      name: plainText(name, refuse),
      value: values[name],
      field: fields.get(name) ?? null,
      refuse: (why) => refuse(`cannot be written: field ${JSON.stringify(name)} ${why}`),
    }));
}

export function buildForm(
  fields: ReadonlyMap<string, FormField>,
  values: Readonly<Record<string, unknown>>,
  refuse: Refuse,
): string {
  const given = givenFields(fields, values, refuse);
  const pairs = createPairs(given.map(({ name }) => name));
  for (const one of given) pairs.add(one.name, fieldPairs(one), one.refuse);
  return pairs
    .list()
    .map(({ name, value }) => `${encode(name)}=${value}`)
    .join('&');
}

function fieldPairs({ name, value, field, refuse }: GivenField): readonly Pair[] {
  const spelling = field?.spelling ?? null;
  if (spelling !== null) {
    return pairsOf(name, spelling, value, spelling.allow_reserved ? encodeReserved : encode, refuse);
  }
  return itemsOf(value, field).map((item) => ({ name, value: encode(itemText(item, field, refuse)) }));
}

/** A list is a field for each of its items, unless it is one field of JSON. */
export function itemsOf(value: unknown, field: FormField | null): readonly unknown[] {
  const whole = !Array.isArray(value) || (field?.content_type != null && isJson(field.content_type));
  return whole ? [value] : value.filter((item) => !isNothing(item));
}

/** OpenAPI 3.1 section 4.8.15: an object in a form is JSON when nothing else is said of it. */
function itemText(item: unknown, field: FormField | null, refuse: Refuse): string {
  if (isFile(item)) throw refuse('holds bytes, which this form cannot carry');
  const asJson = typeof item === 'object' || (field?.content_type != null && isJson(field.content_type));
  return asJson ? jsonText(item, refuse) : plainText(item, refuse);
}
