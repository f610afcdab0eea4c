/** Sums as people write them: 0.1 and 0.2 are 0.3. */

const DECIMAL = /^(-?[0-9]{1,400})(?:\.([0-9]{1,400}))?(?:[eE]([+-]?[0-9]{1,3}))?$/;

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
  let whole = 0;
  let digits = 0n;
  let places = 0;
  for (const term of terms) {
    if (typeof term === 'number' && Number.isSafeInteger(term) && Number.isSafeInteger(whole + term)) {
      whole += term;
      continue;
    }
    const decimal = decimalOf(String(term));
    if (decimal.places > places) {
      digits *= 10n ** BigInt(decimal.places - places);
      places = decimal.places;
    }
    digits += decimal.digits * 10n ** BigInt(places - decimal.places);
  }
  if (digits === 0n) return whole;
  return Number(`${digits + BigInt(whole) * 10n ** BigInt(places)}e-${places}`);
}

function decimalOf(text: string): Decimal {
  const [, whole = '0', fraction = '', exponent = '0'] = DECIMAL.exec(text) ?? [];
  const digits = BigInt(whole + fraction);
  const places = fraction.length - Number(exponent);
  return places >= 0 ? { digits, places } : { digits: digits * 10n ** BigInt(-places), places: 0 };
}
