/** Sums as people write them: 0.1 and 0.2 are 0.3. */

const DECIMAL = /^(-?(?:0|[1-9][0-9]{0,399}))(?:\.([0-9]{1,400}))?(?:[eE]([+-]?[0-9]{1,3}))?$/;

/** A decimal point and digits that a safe integer holds, so that counting in units is exact. */
const SHORT = /^-?[0-9.]{1,16}$/;

/** The exact value of a decimal: `digits` divided by ten to the power of `places`. */
interface Decimal {
  readonly digits: bigint;
  readonly places: number;
}

/** A finite number, or a text that is one in the form of JSON. */
export function isDecimal(value: unknown): value is number | string {
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value === 'string' && DECIMAL.test(value);
}

/** The number nearest to the exact sum of what {@link isDecimal} accepts; possibly infinite. */
export function sumDecimals(terms: Iterable<number | string>): number {
  /** By decimal places: the sum of the terms that have so many, in units of the last. */
  const units: number[] = [];
  let total: Decimal = { digits: 0n, places: 0 };
  for (const term of terms) {
    const text = String(term);
    const places = SHORT.test(text) ? placesOf(text) : null;
    const sum = places === null ? Number.NaN : (units[places] ?? 0) + Math.round(Number(text) * 10 ** places);
    if (places !== null && Number.isSafeInteger(sum)) units[places] = sum;
    else total = add(total, decimalOf(text));
  }
  units.forEach((sum, places) => {
    total = add(total, { digits: BigInt(sum), places });
  });
  return Number(`${total.digits}e-${total.places}`);
}

function placesOf(text: string): number {
  const point = text.indexOf('.');
  return point < 0 ? 0 : text.length - point - 1;
}

function decimalOf(text: string): Decimal {
  const [, whole = '0', fraction = '', exponent = '0'] = DECIMAL.exec(text) ?? [];
  const digits = BigInt(whole + fraction);
  const places = fraction.length - Number(exponent);
  return places >= 0 ? { digits, places } : { digits: digits * 10n ** BigInt(-places), places: 0 };
}

function add(a: Decimal, b: Decimal): Decimal {
  if (a.places < b.places) return add(b, a);
  return { digits: a.digits + b.digits * 10n ** BigInt(a.places - b.places), places: a.places };
}
