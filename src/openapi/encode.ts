/** Percent-encoding (RFC 3986). */

/** Section 2.3. */
const UNRESERVED = /^[A-Za-z0-9._~-]*$/;

/** Everything but the unreserved characters, so that nothing in a text can end it or begin something else. */
export function encode(text: string): string {
  if (UNRESERVED.test(text)) return text;
  return encodeURIComponent(text).replace(/[!'()*]/g, hex);
}

/**
 * The same, save for reserved characters that mean nothing in a query (`allowReserved` of OpenAPI). Those that do
 * are encoded all the same: `&` and `;` separate parameters, `+` is a space, `#` ends the query, `%` begins an
 * encoding, and brackets and quotes are not allowed there.
 */
export function encodeReserved(text: string): string {
  return encode(text).replace(/%(?:21|24|28|29|2A|2C|2F|3A|3D|3F|40)/g, decodeURIComponent);
}

function hex(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
