/** The query of a request, and its cookies, which are written the same way. */
import { encode, encodeReserved } from './encode.ts';
import { type Given, givenIn } from './given.ts';
import type { Operation, Parameter } from './operation.ts';
import { createPairs } from './pairs.ts';
import { checkKind, contentText, parametersIn, refusal, valueFor } from './parameter-value.ts';
import { type Pair, pairsOf } from './style.ts';
import { isNothing, type Refuse } from './value.ts';

/** Each `name=value`, encoded. Throws INVALID_ARGUMENTS. */
export function buildPairs(operation: Operation, given: Given, place: 'query' | 'cookie'): string[] {
  const values = givenIn(given, place);
  const parameters = parametersIn(operation, place, values);
  if (parameters.length === 0) return [];
  const pairs = createPairs(parameters.map((parameter) => parameter.name));
  for (const parameter of parameters) {
    const refuse = refusal(place, parameter.name);
    const found = pairsFor(parameter, valueFor(parameter, values), refuse);
    if (parameter.required && found.length === 0) throw refuse('has no value');
    pairs.add(parameter.name, found, refuse);
  }
  return pairs.list().map(({ name, value }) => `${encode(name)}=${value}`);
}

function pairsFor(parameter: Parameter, value: unknown, refuse: Refuse): readonly Pair[] {
  const { name, content, allow_reserved } = parameter;
  const encoding = allow_reserved ? encodeReserved : encode;
  checkKind(parameter, value, refuse);
  if (content === null) return pairsOf(name, parameter, value, encoding, refuse);
  return isNothing(value) ? [] : [{ name, value: encoding(contentText(content, value, refuse)) }];
}
