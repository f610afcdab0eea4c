/** The parameters of a query, each at most once, and none that would be ignored. */
import { GatewayError } from '../../../errors.ts';

/** Throws INVALID_ARGUMENTS: a slip of the pen must not widen an answer. */
export function parametersOf<Name extends string>(
  querystring: string,
  names: readonly Name[],
): { readonly [name in Name]?: string } {
  const found = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(querystring)) {
    if (!(names as readonly string[]).includes(name))
      throw invalid(`there is no parameter ${name.slice(0, 64)}; these are: ${names.join(', ')}`);
    if (found.has(name)) throw invalid(`${name} is given twice`);
    if (value === '') throw invalid(`${name} is empty; leave it out`);
    found.set(name, value);
  }
  return Object.fromEntries(found) as { [name in Name]?: string };
}

/** A whole number. Throws INVALID_ARGUMENTS. */
export function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw invalid(`${name} must be a whole number`);
  return value;
}

export function invalid(message: string): GatewayError {
  return new GatewayError('INVALID_ARGUMENTS', message);
}
