/** What messages show of a reply. It may repeat what was sent, so it is treated as the trail treats arguments. */
import { REDACTED, redactArguments } from '../audit/redact.ts';
import { type RequestSecrets, reveal } from '../credentials/secret.ts';
import { JSON_TYPE } from './reply.ts';

/** Characters that are looked at, and that are shown. */
const READ = 2048;
const SHOWN = 512;
/** A shorter part of a secret may be an ordinary word. */
const MIN_SECRET = 8;

/**
 * The beginning of a text or JSON value on one line, 512 characters at most; null for binary or nothing. What looks
 * like a secret is left out, and so is the credential of the request wherever it is repeated.
 */
export function excerpt(
  value: unknown,
  contentType: string | null,
  secrets: RequestSecrets | null,
): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value !== 'string' && (contentType === null || !JSON_TYPE.test(contentType))) return null;
  return withoutSecrets(textOf(value), secrets)
    .slice(0, READ)
    .replace(/[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .slice(0, SHOWN)
    .toWellFormed();
}

function textOf(value: unknown): string {
  const { value: shown } = redactArguments({
    value: typeof value === 'string' ? value.slice(0, READ) : value,
  });
  return typeof shown === 'string' ? shown : JSON.stringify(shown);
}

function withoutSecrets(text: string, secrets: RequestSecrets | null): string {
  if (secrets === null) return text;
  let clean = text;
  for (const secret of [...Object.values(secrets.headers), ...Object.values(secrets.query)]) {
    const whole = reveal(secret);
    // `Bearer x` is repeated as x alone too.
    for (const part of [whole, ...whole.split(' ')]) {
      if (part.length >= MIN_SECRET) clean = clean.replaceAll(part, REDACTED);
    }
  }
  return clean;
}
