/** The headers of a request. Which of them a caller may set at all is for the sender to decide. */
import { type Given, givenIn } from './given.ts';
import type { Operation } from './operation.ts';
import { parametersIn, refusal, shapeFor, valueFor } from './parameter-value.ts';
import { buildPairs } from './request-query.ts';
import { headerText } from './style.ts';

/** RFC 9110 section 5.5, without line ends and other control characters. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** By name in lower case. Throws INVALID_ARGUMENTS. */
export function buildHeaders(operation: Operation, given: Given): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  const values = givenIn(given, 'header');
  for (const parameter of parametersIn(operation, 'header', values)) {
    const refuse = refusal('header', parameter.name);
    const shape = shapeFor(parameter, valueFor(parameter, values), refuse);
    if (shape === null && parameter.required) throw refuse('has no value');
    if (shape === null) continue;
    const text = headerText(parameter, shape, refuse);
    if (!FIELD_VALUE.test(text)) throw refuse('holds a character that HTTP does not allow there');
    headers[parameter.name] = text;
  }
  const cookies = buildPairs(operation, given, 'cookie');
  if (headers.cookie !== undefined) cookies.unshift(headers.cookie);
  if (cookies.length > 0) headers.cookie = cookies.join('; ');
  return headers;
}
