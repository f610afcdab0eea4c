/** Development on one machine: secrets in environment variables, `<prefix><KEY>` or `<prefix><KEY>__<FIELD>`. */
import { credentialOf } from './fields.ts';
import { unavailable } from './problem.ts';
import type { CredentialProvider } from './resolve.ts';

/** `variables`: those whose names begin with the prefix, without it. */
export function createSecretEnvironment(
  variables: Readonly<Record<string, string>>,
): CredentialProvider<'static_ref'> {
  return async ({ key, field }, { tenant }) => {
    // Names of variables have no place for a tenant that another key could not take.
    if (tenant !== null) throw unavailable('secrets from the environment are for callers without a tenant');
    const name = variableOf(key);
    const whole = Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (whole !== undefined && field === undefined) return credentialOf({ value: whole }, undefined);
    const data: Record<string, string> = Object.create(null);
    for (const [variable, value] of Object.entries(variables)) {
      if (variable.startsWith(`${name}__`)) data[variable.slice(name.length + 2).toLowerCase()] = value;
    }
    if (whole !== undefined || Object.keys(data).length > 0) return credentialOf(data, field?.toLowerCase());
    throw unavailable(`no environment variable holds the secret ${key}`);
  };
}

/** `crm/api` -> `CRM_API`. */
function variableOf(key: string): string {
  return key.replace(/[^A-Za-z0-9]+/g, '_').toUpperCase();
}
