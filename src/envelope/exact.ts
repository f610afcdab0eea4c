/**
 * What was signed must be what runs. Arguments travel on as doubles, so a number whose digits a double cannot keep
 * (9007199254740993 becomes ...992) has to be sent as a string.
 */
import type { Node } from './canonical.ts';

/**
 * Whether the double nearest to this JSON number stands for the same digits. An integer must be what the double
 * is written as again (12345678901234567168 would go on as ...7000); a fraction, or a number with an exponent, must
 * be what the double is written as again, or the double rounded to as many digits, so that 0.1 passes, and
 * 0.10000000000000001 as C's %.17g writes it.
 */
export function survivesDouble(lexeme: string): boolean {
  const match = NUMBER.exec(lexeme);
  if (match === null) return false;
  const [, whole = '', fraction, exponent] = match;
  const digits = (whole + (fraction ?? '')).replace(/^0+/, '');
  const significant = digits.replace(TRAILING_ZEROS, '');
  if (significant === '') return true;
  // toExponential takes 100 digits after the point at most; no double needs them.
  if (significant.length > 100) return false;
  const value = Math.abs(Number(lexeme));
  if (!Number.isFinite(value)) return false;
  const isInteger = fraction === undefined && exponent === undefined;
  const scale = Number(exponent ?? 0) - (fraction ?? '').length + digits.length - 1;
  const stands = (again: string): boolean => {
    const [mantissa = '', power = ''] = again.split('e');
    return mantissa.replace('.', '') === significant && Number(power) === scale;
  };
  // Both: of two roundings that are equally near, the one goes to the even digit and the other up.
  return stands(value.toExponential()) || (!isInteger && stands(value.toExponential(significant.length - 1)));
}

/** The JSON pointer of the first number below this node that a double cannot keep; null when there is none. */
export function firstInexact(node: Node, pointer = ''): string | null {
  if (typeof node === 'string') {
    return isNumber(node) && !survivesDouble(node) ? pointer : null;
  }
  const children = node.kind === 'array' ? node.items : node.values;
  for (let i = 0; i < children.length; i += 1) {
    const name = node.kind === 'array' ? String(i) : escapePointer(node.keys[i]!);
    const found = firstInexact(children[i]!, `${pointer}/${name}`);
    if (found !== null) return found;
  }
  return null;
}

const NUMBER = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;
const TRAILING_ZEROS = /(?<!0)0+$/;

function isNumber(scalar: string): boolean {
  const code = scalar.charCodeAt(0);
  return code === 0x2d || (code >= 0x30 && code <= 0x39);
}

/** RFC 6901 section 3. */
function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
