/** The fields of a secret, whatever JSON they are, as a credential. */
import { unavailable } from './problem.ts';
import type { ResolvedCredential } from './resolve.ts';
import { Secret } from './secret.ts';

/**
 * Texts as they are, everything else as JSON. `field`: the one that is wanted; else the only one is the value. Throws
 * CREDENTIAL_UNAVAILABLE when the field is not there or null.
 */
export function credentialOf(
  data: Readonly<Record<string, unknown>>,
  field: string | undefined,
): Pick<ResolvedCredential, 'value' | 'fields'> {
  if (field !== undefined) {
    const value = Object.hasOwn(data, field) ? data[field] : undefined;
    if (value === undefined) throw unavailable(`the secret has no field ${field}`);
    if (value === null) throw unavailable(`the field ${field} of the secret is null`);
    const secret = secretOf(value);
    return { value: secret, fields: { [field]: secret } };
  }
  const fields: Record<string, Secret> = Object.create(null);
  for (const [name, value] of Object.entries(data)) if (value !== null) fields[name] = secretOf(value);
  const all = Object.values(fields);
  if (all.length === 0) throw unavailable('the secret has no fields');
  return { value: all.length === 1 ? all[0]! : null, fields };
}

function secretOf(value: unknown): Secret {
  return new Secret(typeof value === 'string' ? value : JSON.stringify(value));
}
